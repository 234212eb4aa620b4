import { type JsonScan, scanJson } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { scanJsonObject } from "../src/http/json-bytes.ts";

const depth = 8;

/** Pieces of which a random row is often nearly JSON, and sometimes is. */
const pieces = [
  ...Array.from('{}[]:,"\\ \t\n\r0123456789-+.eEu\0\u001f\u007f'),
  '"a"',
  '"a":',
  '{"a":',
  '"\\u00e9"',
  '"\\n"',
  '"\\x"',
  "true",
  "false",
  "null",
  "nul",
  "1.5e-3",
  "01",
];

test("JSON is read from bytes as the core reads it from text", () => {
  fc.assert(
    fc.property(fc.json(), fc.string({ unit: "binary-ascii", maxLength: 3 }), (json, rest) => {
      const text = ascii(`{"id":${json},"data":[${json}]}${rest}`);

      expect(scan(text)).toEqual(expected(text));
    }),
  );
});

test("what is no JSON is told from what is as the core tells it", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 20 }), (row) => {
      const value = row.join("");

      for (const text of [value, `{"a":${value}}`, `{"a":"${value}"}`, `{"a":[${value}]}`, `{${value}}`]) {
        expect([text, scan(text)]).toEqual([text, expected(text)]);
      }
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  ["{}", "object"],
  [' {"a" : 1 , "b" : [ ] } ', "object"],
  ['{"a":1e400,"a":-0.0E+7}', "object"],
  ['{"a":tru}', "malformed"],
  ['{"a":1,}', "malformed"],
  ['{"a":"\\u00g0"}', "malformed"],
  ['{"a":"', "malformed"],
  ['{"a":1} {', "malformed"],
  ["", "malformed"],
  ["[1]", "malformed"],
  [`{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`, "object"],
  [`{"a":${"[".repeat(depth)}`, "too deep"],
])("%s is %s", (text, kind) => {
  expect(scan(text).kind).toBe(kind);
});

test("names and values are cut out as they were written, with the escapes of names resolved", () => {
  expect(scan('{"\\u0069d":"\\u0041","data":{ "n" : 1.10 },"id":12345678901234567890}')).toEqual({
    kind: "object",
    members: [
      { name: "id", value: '"\\u0041"' },
      { name: "data", value: '{ "n" : 1.10 }' },
      { name: "id", value: "12345678901234567890" },
    ],
  });
});

function scan(text: string): JsonScan {
  return scanJsonObject(text, new TextEncoder().encode(text), depth);
}

/** What is JSON and no object is of no use to an event. */
function expected(text: string): JsonScan {
  const whole = scanJson(text, depth);
  return whole.kind === "object" || (whole.kind === "too deep" && text.trimStart().startsWith("{")) ? whole : { kind: "malformed" };
}

function ascii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, "?");
}
