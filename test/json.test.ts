import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { isJsonObject, scanJson } from "../src/json.ts";

const jsonText = fc.oneof(fc.json({ maxDepth: 6 }), fc.json({ maxDepth: 6, stringUnit: "binary" }));
const nearlyJson = fc
  .tuple(
    fc.json(),
    fc.nat(),
    fc.constantFrom("", ",", '"', "\\", "{", "}", "]", "1", "0", "e", ".", "-", "\u0000", "\u00a0", "\ufeff", "\\u12"),
  )
  .map(([text, at, piece]) => text.slice(0, at % (text.length + 1)) + piece + text.slice((at % (text.length + 1)) + 1));
const jsonCharacters = fc.string({
  unit: fc.constantFrom(...'{ } [ ] : , 0 1 2 . e E + - true false null " \\ \n \t'.split(" "), " "),
  maxLength: 12,
});

describe("isJsonObject", () => {
  test("agrees with JSON.parse on whatever text", () => {
    fc.assert(
      fc.property(fc.oneof(jsonText, nearlyJson, jsonCharacters, fc.string()), (text) => {
        expect(isJsonObject(text, 1000)).toBe(isObjectByParse(text));
      }),
      { numRuns: 5_000 },
    );
  });

  test.each([
    '{},"event3":{}',
    "{}{}",
    "{",
    "{]",
    "",
    " ",
    "null",
    "[]",
    '"{}"',
    "{'a':1}",
    '{"a":01}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":+1}',
    '{"a":1e}',
  ])("what only looks like an object is none: %s", (text) => {
    expect(isJsonObject(text)).toBe(false);
  });

  test.each([
    "{}",
    ' \t\r\n{ "a" : [ ] } ',
    '{"a":1e400}',
    '{"a":12345678901234567890,"a":1.10}',
    '{"__proto__":{}}',
    '{"\\ud800":"\\u0000"}',
  ])("an object is one, whatever JavaScript would make of it: %s", (text) => {
    expect(isJsonObject(text)).toBe(true);
  });

  test("an object as deep as allowed is one, and a deeper one is not", () => {
    expect(isJsonObject(nested(64))).toBe(true);
    expect(isJsonObject(nested(65))).toBe(false);
    expect(isJsonObject(nested(3), 3)).toBe(true);
    expect(isJsonObject(nested(4), 3)).toBe(false);
  });

  test("a hostile depth does not overflow the stack, whatever the limit", () => {
    expect(isJsonObject(nested(1_000_000), Number.POSITIVE_INFINITY)).toBe(false);
    expect(isJsonObject('{"a":'.repeat(1_000_000), 1000)).toBe(false);
  });
});

describe("scanJson", () => {
  test("the members of an object, read one by one, are what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);

        const scan = scanJson(text, 64);

        if (scan.kind !== "object") throw new Error(`it is ${scan.kind}`);
        expect(scan.members.map(({ name, value: slice }) => [name, JSON.parse(slice)])).toEqual(Object.entries(JSON.parse(text)));
      }),
    );
  });

  test("the elements of an array, read one by one, are what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);

        const scan = scanJson(text, 64);

        if (scan.kind !== "array") throw new Error(`it is ${scan.kind}`);
        expect(scan.elements.map((slice) => JSON.parse(slice))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("what a double cannot hold, repeated names and the order of members stay as they were written", () => {
    const scan = scanJson('{ "2":1e400 , "1": 12345678901234567890,"2":{"b":1.10, "a":1} }', 64);

    expect(scan).toEqual({
      kind: "object",
      members: [
        { name: "2", value: "1e400" },
        { name: "1", value: "12345678901234567890" },
        { name: "2", value: '{"b":1.10, "a":1}' },
      ],
    });
  });

  test("the escapes in a name are resolved", () => {
    expect(scanJson('{"\\u0069d\\n":1}', 64)).toEqual({ kind: "object", members: [{ name: "id\n", value: "1" }] });
  });

  test("any other text is told apart: a scalar, none at all, one that is too deep", () => {
    expect(scanJson(' "text" ', 64)).toEqual({ kind: "scalar" });
    expect(scanJson("-0.5E-7", 64)).toEqual({ kind: "scalar" });
    expect(scanJson("tru", 64)).toEqual({ kind: "malformed" });
    expect(scanJson("[1,]", 64)).toEqual({ kind: "malformed" });
    expect(scanJson("[[]]", 1)).toEqual({ kind: "too deep" });
    expect(scanJson('{"a":{}}', 1)).toEqual({ kind: "too deep" });
  });
});

function nested(depth: number): string {
  return `${'{"a":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`;
}

function isObjectByParse(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
