import { amqpBinding, type EventRecord, kafkaBinding, mqttBinding, natsBinding, pulsarBinding } from "@event-driver/cloudevents/bindings";
import { createMessage, withKey } from "event-driver";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { place, record } from "./records.ts";

const factories = { kafkaBinding, natsBinding, amqpBinding, mqttBinding, pulsarBinding };

describe("a record that no producer of CloudEvents wrote becomes a message", () => {
  test("by its place, its key and its headers", () => {
    const headers = {
      Tenant: Buffer.from("acme"),
      "trace-id": Buffer.from("1"),
      id: Buffer.from("9"),
      "Content-Type": Buffer.from("text/csv"),
    };

    const read = kafkaBinding().read(record(headers, "a;b", { key: Buffer.from("customer-1") }), place);

    expect(read).toStrictEqual({
      message: createMessage({
        id: "0/7",
        key: "customer-1",
        source: "orders",
        content: "a;b",
        attributes: { tenant: "acme", datacontenttype: "text/csv" },
      }),
    });
  });

  test.each([
    ["without a key, its place", undefined, "0/7"],
    ["with a null key, its place", null, "0/7"],
    ["with a key that is no text, its base64", Uint8Array.of(0xff), "/w=="],
    ["with an empty key, the empty one", Uint8Array.of(), ""],
  ])("whose key is %s", (_, key, expected) => {
    expect(kafkaBinding().read(record({}, "x", { key }), place).message.key).toBe(expected);
  });

  test("under its position alone where there are no partitions", () => {
    expect(natsBinding().read(record({}, "x"), { stream: "orders", position: "12" }).message.id).toBe("12");
  });

  test("a tombstone says that it is one", () => {
    const { message } = kafkaBinding().read(record({}, null, { key: "k" }), place);

    expect(message.content).toBe("");
    expect({ ...message.attributes }).toEqual({ tombstone: "true" });
  });

  test.each([
    ["text where it can be", Buffer.from("é"), undefined, "é"],
    ["bytes where it cannot", Buffer.of(0xff), undefined, Uint8Array.of(0xff)],
    ["bytes of a type that is none of text", Buffer.from("é"), "image/png", Uint8Array.from(Buffer.from("é"))],
    ["text of a type of text", Buffer.from("{}"), "application/json", "{}"],
  ])("whose content is %s", (_, body, contentType, content) => {
    expect(amqpBinding().read(record({}, body, { contentType }), place).message.content).toStrictEqual(content);
  });

  test("values of other types become text, and what has none is left out", () => {
    const headers = { retries: 3, urgent: true, price: 1.5, nothing: null, at: new Date(Number.NaN), deaths: 2n };

    const { message } = amqpBinding().read(record(headers), place);

    expect({ ...message.attributes }).toEqual({ retries: "3", urgent: "true", deaths: "2" });
  });

  test("of two headers that become one attribute the first counts, and none becomes the key", () => {
    const headers: EventRecord["headers"] = [
      ["Tenant", "acme"],
      ["tenant", "other"],
      ["key", "k"],
    ];

    const { message } = natsBinding().read({ headers, body: new Uint8Array(0) }, place);

    expect(message.key).toBe("0/7");
    expect({ ...message.attributes }).toEqual({ tenant: "acme" });
  });

  test("user properties called id and type do not make an event of it", () => {
    const read = mqttBinding().read(record({ id: "9", type: "reading", unit: "K" }, "21"), place);

    expect(read).toStrictEqual({
      message: createMessage({ id: "0/7", key: "0/7", source: "orders", content: "21", attributes: { unit: "K" } }),
    });
  });

  test.each(['{"specversion":"1.0"}', '{"specversion":', "{}", '["specversion"]'])("also where its body is %s", (body) => {
    expect(natsBinding().read(record({}, body), place)).toMatchObject({ message: { id: "0/7", content: body } });
  });

  test("the same one at each delivery", () => {
    const delivery = record({}, "x");

    expect(pulsarBinding().read(delivery, place)).toStrictEqual(pulsarBinding().read(delivery, place));
  });
});

describe("foreign records are what the option says", () => {
  test("refused", () => {
    const { message, failure } = kafkaBinding({ foreign: "refuse" }).read(record({}, "x", { key: "k" }), place);

    expect(failure).toMatchObject({ code: "ERR_INVALID_EVENT", retryable: false, message: expect.stringMatching(/"0\/7".*"orders"/) });
    expect(message).toMatchObject({ id: "0/7", key: "k", source: "orders", content: Uint8Array.from(Buffer.from("x")) });
  });

  test("what a function makes of them", () => {
    const binding = kafkaBinding({ foreign: ({ key }, accepted) => withKey(accepted, `customer ${String(key)}`) });

    expect(binding.read(record({}, "x", { key: "7" }), place).message).toMatchObject({ id: "0/7", key: "customer 7" });
  });

  test("failures where the function throws", () => {
    const cause = new Error("no");
    const binding = kafkaBinding({
      foreign: () => {
        throw cause;
      },
    });

    expect(binding.read(record({}, "x"), place)).toMatchObject({ failure: { code: "ERR_INVALID_EVENT", retryable: false, cause } });
  });

  test("nothing else", () => {
    // @ts-expect-error: what a caller without types might give
    expect(() => kafkaBinding({ foreign: "drop" })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
    // @ts-expect-error: what a caller without types might give
    expect(() => mqttBinding({ mode: "batch" })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
    for (const keyFrom of [["Key"], [], ["key", "datacontenttype"]]) {
      expect(() => natsBinding({ keyFrom })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
    }
  });
});

const names = ["specversion", "id", "source", "type", "time", "key", "data", "datacontenttype", "Bad", "x"];

const headerName = fc.oneof(
  ...["", "ce_", "ce-", "cloudEvents:", "cloudEvents_"].map((prefix) => fc.constantFrom(...names).map((name) => prefix + name)),
  fc.constantFrom("content-type", "Content-Type", "event-driver", "", "__proto__"),
  fc.string(),
);

const headerValue = fc.oneof(
  fc.constantFrom(
    "1.0",
    "0.3",
    "",
    "%",
    "%C0%A0",
    '"',
    "text",
    "id=%FF",
    "no-id",
    "key=,time=x",
    "application/cloudevents+json",
    "application/cloudevents+avro",
  ),
  fc.string({ unit: "binary" }),
  fc.uint8Array(),
  fc.double(),
  fc.boolean(),
  fc.bigInt(),
  fc.date(),
  fc.constant(null),
);

const anyRecord: fc.Arbitrary<EventRecord> = fc.record({
  headers: fc.array(fc.tuple(headerName, headerValue), { maxLength: 8 }),
  contentType: fc.option(fc.oneof(fc.string(), fc.constantFrom("application/cloudevents+json", "text/plain")), { nil: undefined }),
  key: fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array(), fc.constantFrom(null, undefined)),
  body: fc.oneof(
    fc.uint8Array(),
    fc.constant(null),
    fc.oneof(fc.json(), fc.constantFrom('{"specversion":"1.0","id":"1"', "[".repeat(10_000))).map((text) => new TextEncoder().encode(text)),
  ),
});

test.each(Object.entries(factories))("no record makes %s throw, and what it reads can be written and read again", (_, factory) => {
  const binding = factory();

  fc.assert(
    fc.property(anyRecord, (given) => {
      const read = binding.read(given, place);

      const again = read.failure === undefined ? binding.read(binding.write(read.message), place) : read;
      expect(again).toStrictEqual(read);
      expect(read.failure?.message ?? "").toMatch(/^$|^record "0\/7" of "orders" cannot be read: /);
    }),
    { numRuns: 300 },
  );
});
