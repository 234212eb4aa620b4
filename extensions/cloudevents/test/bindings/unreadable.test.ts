import { amqpBinding, type Binding, kafkaBinding, mqttBinding, natsBinding, pulsarBinding } from "@event-driver/cloudevents/bindings";
import { describe, expect, test } from "vitest";

import { place, record } from "./records.ts";

const bindings: readonly (readonly [name: string, prefix: string, binding: Binding])[] = [
  ["Kafka", "ce_", kafkaBinding()],
  ["NATS", "ce-", natsBinding()],
  ["AMQP", "cloudEvents:", amqpBinding()],
  ["MQTT", "", mqttBinding()],
  ["Pulsar", "ce_", pulsarBinding()],
];

const event = { specversion: "1.0", id: "1", source: "shop", type: "order.created" };

describe.each(bindings)("%s: a record that claims to be an event and is none is a failure with its bytes", (_, prefix, binding) => {
  test.each<[string, readonly (readonly [name: string, value: string | Uint8Array | number])[]]>([
    ["without an id", headersOf({ ...event, id: undefined })],
    ["without a source", headersOf({ ...event, source: undefined })],
    ["without a type", headersOf({ ...event, type: undefined })],
    ["with an empty id", headersOf({ ...event, id: "" })],
    ["of another version", headersOf({ ...event, specversion: "0.3" })],
    ["with a time that is none", headersOf({ ...event, time: "yesterday" })],
    ["with an empty subject", headersOf({ ...event, subject: "" })],
    ["with an attribute twice", [...headersOf(event), ["id", "2"]]],
    ["with a control character", headersOf({ ...event, comment: "a\u0007" })],
    ["with a number that is not whole", headersOf({ ...event, comment: 1.5 })],
    ["with a mark that cannot be read", [...headersOf(event), ["event-driver", "id=%FF"]]],
  ])("%s", (__, headers) => {
    const named = headers.map(([name, value]): [string, string | Uint8Array | number] => [
      name === "event-driver" ? name : prefix + name,
      value,
    ]);

    const { message, failure } = binding.read({ headers: named, body: Buffer.from("secret"), key: "k" }, place);

    expect(failure).toMatchObject({ code: "ERR_INVALID_EVENT", retryable: false, message: expect.not.stringContaining("secret") });
    expect(failure?.message).toContain('record "0/7" of "orders"');
    expect(message).toStrictEqual({
      id: "0/7",
      key: "k",
      source: "orders",
      content: Uint8Array.from(Buffer.from("secret")),
      attributes: Object.create(null),
    });
  });

  test.each([
    ["no JSON", "{", "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["no UTF-8", Uint8Array.of(0xff), "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["no body at all", null, "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["of another version", JSON.stringify({ ...event, specversion: "0.3" }), "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["twice the same attribute", '{"id":"1","id":"2"}', "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["nested too deep", `{"data":${"[".repeat(200)}${"]".repeat(200)}}`, "ERR_INVALID_EVENT", "application/cloudevents+json"],
    ["in another event format", "x", "ERR_UNSUPPORTED", "application/cloudevents+avro"],
    ["a batch", "[]", "ERR_UNSUPPORTED", "application/cloudevents-batch+json"],
    ["in another character set", JSON.stringify(event), "ERR_UNSUPPORTED", "application/cloudevents+json; charset=utf-16"],
  ])("in structured mode: %s", (__, body, code, contentType) => {
    const { failure } = binding.read(record({ "content-type": contentType }, body, { contentType }), place);

    expect(failure).toMatchObject({ code, retryable: false });
  });

  test("what is marked as text and is none", () => {
    const headers = { ...Object.fromEntries(headersOf(event).map(([name, value]) => [prefix + name, value])), "event-driver": "text" };

    expect(binding.read(record(headers, Uint8Array.of(0xff)), place)).toMatchObject({ failure: { code: "ERR_INVALID_EVENT" } });
  });
});

test("a header that is no UTF-8 makes an event unreadable", () => {
  const headers = { ce_specversion: "1.0", ce_id: Uint8Array.of(0xff), ce_source: "shop", ce_type: "t" };

  expect(kafkaBinding().read(record(headers), place)).toMatchObject({ failure: { code: "ERR_INVALID_EVENT", retryable: false } });
});

test("both prefixes of AMQP for one attribute are one too many", () => {
  const headers = {
    "cloudEvents:specversion": "1.0",
    "cloudEvents:id": "1",
    cloudEvents_id: "1",
    "cloudEvents:source": "s",
    "cloudEvents:type": "t",
  };

  expect(amqpBinding().read(record(headers), place)).toMatchObject({ failure: { code: "ERR_INVALID_EVENT" } });
});

function headersOf(attributes: Readonly<Record<string, string | number | undefined>>): readonly (readonly [string, string | number])[] {
  return Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}
