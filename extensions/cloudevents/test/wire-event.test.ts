import { createMessage, identityOf, withKey, withSource } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { fromWire, toWire, type WireEvent } from "../src/event/wire-event.ts";
import { attributeText, messages } from "./arbitrary-message.ts";

test("a message that becomes an event and a message again is the same", () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect(fromWire(toWire(message))).toEqual(message);
    }),
  );
});

test("an event that becomes a message and an event again is the same", () => {
  const attributes = fc.record(
    {
      id: attributeText,
      source: fc.oneof(attributeText, fc.constant("https://shop.example/orders#event1")),
      type: attributeText,
      key: fc.constantFrom("a", "b", ""),
      partitionkey: fc.constantFrom("a", "b", "c"),
      subject: fc.constantFrom("a", "b", "partition:0#7"),
      sourcename: fc.constantFrom("event1", "other"),
      xempty: fc.constant(""),
    },
    { requiredKeys: ["id", "source", "type"] },
  );

  fc.assert(
    fc.property(attributes, fc.option(fc.constantFrom("{}", new Uint8Array([255])), { nil: undefined }), (given, data) => {
      fc.pre(Boolean(given.key || given.partitionkey || given.subject?.length === 1));
      const event = wireEvent({ ...given, datacontenttype: "application/json" }, data);

      expect(toWire(fromWire(event))).toEqual(event);
    }),
  );
});

test.each([
  ["https://shop.example/orders#event1", "event1"],
  ["a#b#c", "c"],
  ["event1", "event1"],
  ["https://shop.example/orders", "https://shop.example/orders"],
  ["https://shop.example/#", "https://shop.example/#"],
])("the source name of %s is %s", (source, name) => {
  expect(fromWire(wireEvent({ source })).source).toBe(name);
});

test("the identity is the whole source and the id", () => {
  const message = fromWire(wireEvent({ source: "https://shop.example/orders#event1", id: "7" }));

  expect(identityOf(message)).toBe(JSON.stringify(["https://shop.example/orders#event1", "7"]));
});

test("a source that is its own short name has no origin", () => {
  expect(fromWire(wireEvent({ source: "event1" }))).not.toHaveProperty("origin");
});

test("a source that was renamed keeps its name and its identity over the wire", () => {
  const message = withSource(fromWire(wireEvent({ source: "https://shop.example/orders#evt-1" })), "event1");

  const arrived = fromWire(toWire(message));

  expect(arrived.source).toBe("event1");
  expect(identityOf(arrived)).toBe(identityOf(message));
});

test.each([
  [{ key: "k", partitionkey: "p", subject: "s" }, "k"],
  [{ partitionkey: "p", subject: "s" }, "p"],
  [{ subject: "s" }, "s"],
  [{ key: "", partitionkey: "", subject: "s" }, "s"],
  [{ key: "partition:0#1" }, "partition:0#1"],
  [{ subject: "partition:0" }, "partition:0"],
])("the key of %j is %s", (attributes, key) => {
  const event = wireEvent({ subject: "", ...attributes });

  expect(fromWire(event).key).toBe(key);
});

test("the order in which attributes are asked for the key is an option", () => {
  const event = wireEvent({ key: "k", subject: "s", tenant: "t" });

  const keys = [["tenant", "key"], ["subject"]].map((keyFrom) => fromWire(event, { keyFrom }).key);

  expect(keys).toEqual(["t", "s"]);
});

test("an event goes back unchanged where its key is asked for in another order", () => {
  const event = wireEvent({ key: "k", partitionkey: "p", subject: "s" });

  for (const keyFrom of [["subject"], ["partitionkey", "key"], ["key", "subject"]]) {
    expect(toWire(fromWire(event, { keyFrom }), { keyFrom })).toEqual(event);
  }
});

test.each([{}, { subject: "" }, { subject: "partition:3#1024" }, { key: "", partitionkey: "" }])(
  "an event with only %j has no key",
  (attributes) => {
    const event = wireEvent({ subject: "", ...attributes });

    expect(() => fromWire(event)).toThrow(expect.objectContaining({ code: "ERR_NO_KEY", retryable: false }));
  },
);

test("an event without a key has the fallback's", () => {
  const message = fromWire(wireEvent({ subject: "" }), { fallbackKey: "order-9" });

  expect(message.key).toBe("order-9");
});

test("a new key goes over the wire in the place of the one that came", () => {
  const message = withKey(fromWire(wireEvent({ key: "old", subject: "old" })), "new");

  expect(fromWire(toWire(message)).key).toBe("new");
});

test("a time stays the text it was", () => {
  const time = "2026-11-21T13:35:19.123456789+02:00";

  const message = fromWire(wireEvent({ time }));

  expect(message.time).toBe(time);
  expect(toWire(message).attributes["time"]).toBe(time);
});

test("an absent time stays absent", () => {
  const message = fromWire(wireEvent());

  expect(message).not.toHaveProperty("time");
  expect(toWire(message).attributes).not.toHaveProperty("time");
});

test("a message without a type is sent with its source's name for one", () => {
  const message = createMessage({ key: "order-1", source: "event1", content: "" });

  expect(toWire(message).attributes["type"]).toBe("event1");
});

test("no data and empty data stay apart", () => {
  const none = fromWire(wireEvent({}, undefined));
  const empty = fromWire(wireEvent({ datacontenttype: "text/plain" }, ""));

  expect(none.content).toBe("");
  expect(empty.content).toEqual(new Uint8Array(0));
  expect(toWire(none).data).toBeUndefined();
  expect(toWire(empty).data).toEqual(new Uint8Array(0));
});

test.each([
  "text/csv",
  "application/json",
  "application/problem+json; charset=UTF-8",
  "application/xml",
  "application/x-www-form-urlencoded",
  undefined,
])("bytes of type %s are text", (datacontenttype) => {
  const event = wireEvent(datacontenttype === undefined ? {} : { datacontenttype }, new TextEncoder().encode("\ufeff{}é"));

  expect(fromWire(event).content).toBe("\ufeff{}é");
});

test.each([
  ["image/png", [0x7b, 0x7d]],
  ["text/plain; charset=iso-8859-1", [0x7b, 0x7d]],
  ["application/json", [0xff, 0xfe]],
  ["text/plain", [0xed, 0xa0, 0x80]],
])("data of type %s stays the bytes %j", (datacontenttype, bytes) => {
  const event = wireEvent({ datacontenttype }, Uint8Array.from(bytes));

  expect(fromWire(event).content).toEqual(Uint8Array.from(bytes));
});

test("attributes have no prototype, so any name is only a name", () => {
  const event = wireEvent({ constructor: "c" });

  const { attributes } = fromWire(event);

  expect(Object.getPrototypeOf(attributes)).toBeNull();
  expect(attributes["constructor"]).toBe("c");
});

test.each(["id", "source", "type"])("an event without %s is refused", (name) => {
  const event = wireEvent({ [name]: "" });

  expect(() => fromWire(event)).toThrow(expect.objectContaining({ code: "ERR_INVALID_EVENT", retryable: false }));
});

test.each([
  ["an empty id", { id: "" }],
  ["an empty key", { key: "" }],
  ["an empty source", { source: "" }],
  ["an empty origin", { origin: "" }],
  ["a time that is none", { time: "yesterday" }],
  ["an attribute whose name CloudEvents does not allow", { attributes: { "trace-parent": "x" } }],
  ["an attribute called data", { attributes: { data: "x" } }],
  ["an attribute beside the part of that name", { attributes: { type: "x" } }],
  ["a line break in an attribute", { attributes: { traceparent: "a\nb" } }],
  ["a lone surrogate in its key", { key: "\ud800" }],
])("a message with %s is refused, without its content in the error", (_, parts) => {
  const message = createMessage({ key: "order-1", source: "event1", content: "secret", ...parts });

  expect(() => toWire(message)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_MESSAGE", retryable: false, message: expect.not.stringContaining("secret") }),
  );
});

test("a key that its only attribute cannot carry is refused rather than lost", () => {
  const message = createMessage({ key: "partition:1#2", source: "event1", content: "" });

  expect(() => toWire(message, { keyFrom: ["subject"] })).toThrow(expect.objectContaining({ code: "ERR_INVALID_MESSAGE" }));
});

test.each([[[]], [["Subject"]], [["data"]]])("keyFrom %j is refused", (keyFrom) => {
  expect(() => fromWire(wireEvent(), { keyFrom })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

function wireEvent(attributes: Record<string, string> = {}, data?: WireEvent["data"]): WireEvent {
  const defaults = { specversion: "1.0", id: "1", source: "event1", type: "order.created", subject: "order-1" };
  return { attributes: Object.assign(Object.create(null), defaults, attributes), data };
}
