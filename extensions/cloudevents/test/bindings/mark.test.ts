import { amqpBinding, kafkaBinding, mqttBinding, natsBinding, pulsarBinding } from "@event-driver/cloudevents/bindings";
import { createMessage, type MessageInit, type StorableContent } from "event-driver";
import { describe, expect, test } from "vitest";

import { headersOf, place, record } from "./records.ts";

const factories = [kafkaBinding, natsBinding, amqpBinding, mqttBinding, pulsarBinding];

describe("what CloudEvents cannot say goes into one header", () => {
  const png = { datacontenttype: "image/png" };

  test.each<[string, Partial<MessageInit<StorableContent>>, string | undefined]>([
    ["nothing", { type: "t", content: '{"a":1}', attributes: { datacontenttype: "application/json", subject: "s" } }, undefined],
    ["nothing of bytes of a type that is no text", { type: "t", content: Uint8Array.of(1), attributes: png }, undefined],
    ["that there is no type", {}, "no-type"],
    ["bytes that could be text", { type: "t", content: Uint8Array.of(65) }, "bytes"],
    ["text of a type that is none", { type: "t", content: "a", attributes: png }, "text"],
    ["bytes that are none", { type: "t", content: new Uint8Array(0), attributes: png }, "bytes"],
    ["an empty key", { type: "t", key: "" }, "key="],
    ["control characters", { type: "t", id: "a\0b" }, "id=a%00b"],
    ["an attribute that CloudEvents wants left out", { type: "t", attributes: { subject: "" } }, "attribute.subject="],
    ["an attribute that says another key", { type: "t", attributes: { key: "x" } }, "key=order-1"],
    ["an origin that is the source", { type: "t", origin: "shop" }, "origin=shop"],
  ])("%s", (_, parts, mark) => {
    for (const factory of factories) {
      const message = createMessage<StorableContent>({ id: "1", key: "order-1", source: "shop", content: "", ...parts });

      const written = factory().write(message);

      expect(headersOf(written)["event-driver"]).toBe(mark);
      expect(factory().read({ ...written, key: written.key || null }, place)).toStrictEqual({ message });
    }
  });

  test("other readers get a CloudEvent all the same", () => {
    const message = createMessage({ id: "a\0b", key: "order-1", source: "shop\n", content: "" });

    expect(headersOf(natsBinding().write(message))).toMatchObject({
      "ce-id": "a%2500b",
      "ce-source": "shop%250A",
      "ce-type": "shop%250A",
    });
  });

  test("entries of a later version are passed over", () => {
    const headers = {
      ce_specversion: "1.0",
      ce_id: "1",
      ce_source: "shop",
      ce_type: "t",
      "event-driver": "later,no-type,,attribute.Upper=1",
    };

    expect(kafkaBinding().read(record(headers, "", { key: "k" }), place)).toStrictEqual({
      message: createMessage({ id: "1", key: "k", source: "shop", content: "" }),
    });
  });
});

describe("what neither of them can carry is refused, terminally and without showing it", () => {
  test.each<[string, Partial<MessageInit<StorableContent>>]>([
    ["an empty id", { id: "" }],
    ["an empty source", { source: "" }],
    ["an empty origin", { origin: "" }],
    ["a time that is none", { time: "yesterday" }],
    ["an attribute of a name that none can have", { attributes: { "trace-parent": "x" } }],
    ["an attribute beside the part of that name", { attributes: { type: "x" } }],
    ["half a character in its content", { content: "secret \ud800" }],
    ["half a character in its key", { key: "\ud800" }],
    ["half a character in its id", { id: "\udc00" }],
    ["half a character in an attribute", { attributes: { traceparent: "\ud800" } }],
  ])("%s", (_, parts) => {
    const message = createMessage<StorableContent>({ id: "1", key: "order-1", source: "shop", content: "secret", ...parts });

    for (const factory of factories) {
      for (const mode of ["binary", "structured"] as const) {
        expect(() => factory({ mode }).write(message)).toThrow(
          expect.objectContaining({ code: "ERR_INVALID_MESSAGE", retryable: false, message: expect.not.stringContaining("secret") }),
        );
      }
    }
  });
});
