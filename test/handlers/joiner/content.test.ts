import fc from "fast-check";
import { expect, test } from "vitest";

import type { Condition } from "../../../src/handlers/joiner/condition.ts";
import type { Message } from "../../../src/message.ts";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { event } from "../../claims/deliver.ts";
import { entriesOf, joinOn, setUp } from "./joins.ts";

test("the composed message says what it is, with the key and one member a source, sorted", async () => {
  const emitted = await join(event("event2", { content: '{"b":2}' }), event("event1", { content: '{"a":1}' }));

  expect(emitted).toMatchObject({
    key: "order-1",
    source: "composed-event",
    type: "composed-event",
    content: '{"event1":{"a":1},"event2":{"b":2}}',
    attributes: { datacontenttype: "application/json" },
  });
});

test("sources are sorted by code unit, and not by a language", async () => {
  const emitted = await join(
    event("a", { id: "1" }),
    event("B", { id: "2" }),
    event("ä", { id: "3" }),
    event("10", { id: "4" }),
    event("9", { id: "5" }),
  );

  expect(emitted.content).toBe('{"10":{},"9":{},"B":{},"a":{},"ä":{}}');
});

test.for([
  ["a number beyond a double", '{"n":1e400}'],
  ["a whole number of twenty digits", '{"n":12345678901234567890}'],
  ["a number with a zero at its end", '{"price":1.10}'],
  ["names that repeat", '{"a":1,"a":2}'],
  ["names out of order", '{"z":1,"a":2,"1":3}'],
  ["white space inside and around", ' {\n\t"a" : 1 }\r\n'],
  ["escapes", '{"\\u0041":"\\/\\u00e9\\ud83d\\ude00"}'],
  ["no member", "{}"],
  ["a __proto__ member", '{"__proto__":{"admin":true}}'],
] as const)("a JSON object with %s goes in as it was written", async ([_what, content]) => {
  const emitted = await join(event("event1", { content }));

  expect(emitted.content).toBe(`{"event1":${content}}`);
});

test.for([
  ["what only begins and ends as an object", '{},"event3":{}'],
  ["an object that goes on behind its end", '{"a":1}}'],
  ["an array", "[1,2]"],
  ["a number", "12"],
  ["a JSON string", '"text"'],
  ["null", "null"],
  ["nothing", ""],
  ["plain text", "hello\nworld\u0000"],
  ["single quotes", "{'a':1}"],
  ["a comma too many", '{"a":1,}'],
  ["a byte order mark in front", '\uFEFF{"a":1}'],
  ["NaN", '{"a":NaN}'],
] as const)("%s goes in as a string", async ([_what, content]) => {
  const emitted = await join(event("event1", { content }));

  expect(emitted.content).toBe(`{"event1":${JSON.stringify(content)}}`);
});

test("an object deeper than 64 levels goes in as a string", async () => {
  const deep = `${'{"a":'.repeat(64)}{}${"}".repeat(64)}`;
  const asDeepAsMayBe = `${'{"a":'.repeat(63)}{}${"}".repeat(63)}`;

  const emitted = await join(event("event1", { content: deep }), event("event2", { content: asDeepAsMayBe }));

  expect(emitted.content).toBe(`{"event1":${JSON.stringify(deep)},"event2":${asDeepAsMayBe}}`);
});

test("whatever its sources hold, the composed content is JSON with exactly these sources", async () => {
  const contents = fc.oneof(almostJson(), anyText());
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string({ maxLength: 6 }), contents, { minKeys: 1, maxKeys: 4 }), async (given) => {
      const emitted = await join(...Object.entries(given).map(([source, content]) => event(source, { content })));

      const parsed: object = JSON.parse(String(emitted.content));
      expect(new Set(Object.keys(parsed))).toEqual(new Set(Object.keys(given)));
    }),
  );
});

test("bytes that are UTF-8 go in as the text they are", async () => {
  const object = new TextEncoder().encode('{"price":1.10,"name":"é"}');
  const text = new TextEncoder().encode("grüße");

  const emitted = await join(event("event1", { content: object }), event("event2", { content: text }));

  expect(emitted.content).toBe('{"event1":{"price":1.10,"name":"é"},"event2":"grüße"}');
});

test("bytes that are not UTF-8 go in as base64, with that said", async () => {
  const emitted = await join(event("event1", { content: new Uint8Array([0xff, 0x00, 0xc3, 0x28]) }));

  expect(emitted.content).toBe('{"event1":{"data_base64":"/wDDKA=="}}');
});

test("bytes with a byte order mark keep it, in a string", async () => {
  const emitted = await join(event("event1", { content: new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]) }));

  expect(emitted.content).toBe(`{"event1":${JSON.stringify("\uFEFF{}")}}`);
});

test.for(["__proto__", "constructor", "toString", "~window", "~outcome", "~~x", "~", "", "a/b", 'quo"te', "ünï😀", "\ud800"])(
  "%j is a source like any other",
  async (source) => {
    const setting = setUp();
    const process = joinOn(setting, { condition: matchAll(source, "event2") });

    const first = await process.deliver(event(source, { content: '{"a":1}' }));
    await process.deliver(event("event2"));

    const [emitted] = process.emitted;
    expect(first.ended).toBe("waiting");
    expect(Object.entries(JSON.parse(String(emitted?.content)))).toContainEqual([source, { a: 1 }]);
  },
);

test("a source named as an entry of the joiner cannot reach that entry", async () => {
  const setting = setUp();
  const process = joinOn(setting, { condition: matchAll("~window", "~outcome", "event1"), window: { size: 60_000 } });

  await process.deliver(event("~window"));
  await process.deliver(event("~outcome"));

  expect(await entriesOf(setting.store)).toEqual(["~window", "~~outcome", "~~window"]);
});

test("a source that begins with a tilde keeps its identity through the store", async () => {
  const setting = setUp();
  const process = joinOn(setting, { condition: matchAll("~x", "event2") });

  await process.deliver(event("~x"));
  const again = await process.deliver(event("~x"));
  await process.deliver(event("event2"));
  const late = await process.deliver(event("~x"));

  expect([again.ended, late.ended]).toEqual(["waiting", "duplicate"]);
});

/** Joins these messages, each of a source of its own, and gives what was emitted. */
async function join(...messages: readonly Message[]): Promise<Message> {
  const condition: Condition = matchAll(...messages.map((message) => message.source));
  const process = joinOn(setUp(), { condition });
  for (const message of messages) await process.deliver(message);
  const [emitted] = process.emitted;
  if (emitted === undefined) throw new Error("nothing was emitted");
  return emitted;
}

/** Pieces of JSON in an order that sometimes makes an object, and mostly only looks like one. */
function almostJson(): fc.Arbitrary<string> {
  return fc
    .array(fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', '"event9":', "1", " "), { maxLength: 8 })
    .map((parts) => parts.join(""));
}

/** Of UTF-16 code units, so surrogates without their other half too. */
function anyText(): fc.Arbitrary<string> {
  return fc.array(fc.nat({ max: 0xffff }), { maxLength: 12 }).map((units) => String.fromCharCode(...units));
}
