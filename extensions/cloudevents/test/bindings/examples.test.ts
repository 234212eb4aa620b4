import { amqpBinding, kafkaBinding, mqttBinding, natsBinding, pulsarBinding } from "@event-driver/cloudevents/bindings";
import { createMessage, type Message } from "event-driver";
import { describe, expect, test } from "vitest";

import { headersOf, place, record } from "./records.ts";

/** The event that all bindings show. */
const attributes = {
  specversion: "1.0",
  type: "com.example.someevent",
  source: "/mycontext/subcontext",
  id: "1234-1234-1234",
  time: "2018-04-05T03:56:24Z",
};

const json = "application/json; charset=utf-8";
const structuredType = "application/cloudevents+json; charset=utf-8";

const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_MESSAGE", retryable: false });

function example(parts: Partial<Message>): Message {
  const { specversion: _, ...named } = attributes;
  return createMessage({ key: "mykey", content: '{"a":1}', ...named, ...parts });
}

function prefixed(prefix: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [prefix + name, value]));
}

describe("Kafka", () => {
  const message = example({ content: Uint8Array.of(2, 255), attributes: { datacontenttype: "application/avro" } });

  test("writes the record of section 3.2.5", () => {
    const written = kafkaBinding().write(message);

    expect(headersOf(written)).toEqual({ ...prefixed("ce_"), "content-type": "application/avro" });
    expect(written.key).toBe("mykey");
    expect(written.body).toEqual(message.content);
  });

  test("reads it", () => {
    const read = kafkaBinding().read(
      record({ ...prefixed("ce_"), "content-type": "application/avro" }, Uint8Array.of(2, 255), { key: Buffer.from("mykey") }),
      place,
    );

    expect(read).toStrictEqual({ message });
  });

  test("reads the record of section 3.3.4, headers of binary mode beside it or not", () => {
    const body = JSON.stringify({ ...attributes, datacontenttype: "application/xml", data: "<a/>" });
    const headers = { "content-type": "Application/CloudEvents+JSON;charset=UTF-8" };

    for (const beside of [{}, prefixed("ce_")]) {
      expect(kafkaBinding().read(record({ ...beside, ...headers }, body, { key: "mykey" }), place)).toStrictEqual({
        message: example({ content: "<a/>", attributes: { datacontenttype: "application/xml" } }),
      });
    }
  });

  test.each([
    [{ ce_key: "k", ce_partitionkey: "p", ce_subject: "s" }, "r", "k"],
    [{ ce_partitionkey: "p", ce_subject: "s" }, "r", "p"],
    [{ ce_subject: "s" }, "r", "r"],
    [{ ce_subject: "s" }, null, "s"],
    [{}, Uint8Array.of(0xff), "/w=="],
    [{}, null, "1234-1234-1234"],
  ])("the key of an event with %j and the record's key %j is %s (section 3.1)", (headers, key, expected) => {
    const { message: read } = kafkaBinding().read(record({ ...prefixed("ce_"), ...headers }, "", { key }), place);

    expect(read.key).toBe(expected);
  });

  test("a null value is no data (section 3.2.2), and not the tombstone of a foreign record", () => {
    const { message: read } = kafkaBinding().read(record(prefixed("ce_"), null, { key: "k" }), place);

    expect(read.content).toBe("");
    expect(read.attributes).not.toHaveProperty("tombstone");
  });
});

test("Pulsar has the names of Kafka", () => {
  const message = example({ attributes: { datacontenttype: json } });

  expect(pulsarBinding().write(message)).toEqual(kafkaBinding().write(message));
});

describe("NATS", () => {
  const message = example({ attributes: { datacontenttype: "application/json" } });
  const headers = { ...prefixed("ce-"), "ce-datacontenttype": "application/json" };

  test("writes the message of section 3.1.4, with the key that NATS has no place for", () => {
    const written = natsBinding().write(message);

    expect(headersOf(written)).toEqual({ ...headers, "ce-key": "mykey" });
  });

  test("reads it, names in any case", () => {
    const anyCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace("ce-", "Ce-").toUpperCase(), value]));

    expect(natsBinding().read(record({ ...anyCase, "CE-KEY": "mykey" }, '{"a":1}'), place)).toStrictEqual({ message });
  });

  test("the value of section 3.1.3.2 is written and read with percent encoding", () => {
    const text = "Euro € 😀";

    const written = natsBinding().write(example({ attributes: { comment: text } }));

    expect(headersOf(written)["ce-comment"]).toBe("Euro%20%E2%82%AC%20%F0%9F%98%80");
    expect(natsBinding().read(written, place).message.attributes["comment"]).toBe(text);
  });

  test.each(["Euro%20%e2%82%ac", '"Euro €"', "%45uro%20€"])("%j is read too", (value) => {
    const latin1 = Buffer.from(value).toString("latin1");

    expect(natsBinding().read(record({ ...headers, "ce-comment": latin1 }), place).message.attributes["comment"]).toBe("Euro €");
  });

  test("reads the message of section 3.2.1, where 1.0.2 knows no header", () => {
    const body = JSON.stringify({ ...attributes, subject: "mykey", data: { a: 1 } });

    for (const headers of [{}, { "Nats-Msg-Id": "7" }]) {
      expect(natsBinding().read(record(headers, body), place).message).toMatchObject({
        id: attributes.id,
        key: "mykey",
        content: '{"a":1}',
      });
    }
  });
});

describe("AMQP", () => {
  const message = example({ attributes: { datacontenttype: json } });

  test("writes the message of section 3.1.4", () => {
    const written = amqpBinding().write(message);

    expect(headersOf(written)).toEqual({ ...prefixed("cloudEvents:"), "cloudEvents:key": "mykey" });
    expect(written.contentType).toBe(json);
  });

  test.each(["cloudEvents:", "cloudEvents_"])("reads it with the prefix %s", (prefix) => {
    const headers = { ...prefixed(prefix), [`${prefix}key`]: "mykey" };

    expect(amqpBinding().read(record(headers, '{"a":1}', { contentType: json }), place)).toStrictEqual({ message });
  });

  test.each([
    [true, "true"],
    [42, "42"],
    [-7n, "-7"],
    [Uint8Array.of(1, 2), "AQI="],
    [new Date("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00.000Z"],
  ])("the value %s of AMQP's own types is read as %s (section 3.1.3.2)", (value, text) => {
    const { message: read } = amqpBinding().read(record({ ...prefixed("cloudEvents:"), "cloudEvents:extra": value }), place);

    expect(read.attributes["extra"]).toBe(text);
  });

  test("a type that does not fit the field stays with the message", () => {
    const long = example({ attributes: { datacontenttype: `text/plain; name="${"x".repeat(300)}"` } });

    const written = amqpBinding().write(long);

    expect(written.contentType).toBeUndefined();
    expect(amqpBinding().read(written, place)).toStrictEqual({ message: long });
  });
});

test("an attribute's name that is too long for AMQP 0.9.1 is refused", () => {
  expect(() => amqpBinding().write(example({ attributes: { ["x".repeat(244)]: "1" } }))).toThrow(refusal);
  expect(amqpBinding().write(example({ attributes: { ["x".repeat(243)]: "1" } })).headers).toHaveLength(7);
});

describe("the type of the data is read", () => {
  test("from the other place too, where the right one says nothing", () => {
    const byKafka = kafkaBinding().read(record({ ...prefixed("ce_"), ce_datacontenttype: "text/csv" }), place);
    const byNats = natsBinding().read(record({ ...prefixed("ce-"), "Content-Type": "text/csv" }), place);

    expect([byKafka, byNats].map(({ message }) => message.attributes["datacontenttype"])).toEqual(["text/csv", "text/csv"]);
  });

  test("from the right place, where both say something", () => {
    const byKafka = kafkaBinding().read(
      record({ ...prefixed("ce_"), ce_datacontenttype: "text/csv", "content-type": "text/plain" }),
      place,
    );
    const byNats = natsBinding().read(
      record({ ...prefixed("ce-"), "ce-datacontenttype": "text/plain", "content-type": "text/csv" }),
      place,
    );

    expect([byKafka, byNats].map(({ message }) => message.attributes["datacontenttype"])).toEqual(["text/plain", "text/plain"]);
  });
});

test("a header without a value is none", () => {
  const headers = { other: null, ce_subject: null, ...prefixed("ce_") };

  expect(kafkaBinding().read(record(headers, '{"a":1}', { key: "mykey" }), place)).toStrictEqual({ message: example({}) });
});

describe("MQTT", () => {
  const message = example({ attributes: { datacontenttype: json } });

  test("writes the message of section 3.1.4", () => {
    const written = mqttBinding().write(message);

    expect(headersOf(written)).toEqual({ ...attributes, key: "mykey" });
    expect(written.contentType).toBe(json);
  });

  test("reads it, with the type in a user property as well", () => {
    const headers = { ...attributes, key: "mykey", datacontenttype: json };

    expect(mqttBinding().read(record(headers, '{"a":1}', { contentType: json }), place)).toStrictEqual({ message });
  });

  test("other user properties are attributes where their names fit", () => {
    const { message: read } = mqttBinding().read(record({ ...attributes, tenant: "acme", "Client-Id": "7" }), place);

    expect({ ...read.attributes }).toEqual({ tenant: "acme" });
  });

  test("reads the message of section 3.2.4, which 3.1.1 sends without a type", () => {
    const body = JSON.stringify({ ...attributes, datacontenttype: json, data: { a: 1 } });

    for (const contentType of ["application/cloudevents+json; charset=utf-8", undefined]) {
      expect(mqttBinding().read(record({}, body, { contentType }), place).message).toMatchObject({ id: attributes.id, content: '{"a":1}' });
    }
  });

  test.each([{ comment: "€".repeat(30_000) }, { datacontenttype: "x".repeat(65_536) }])(
    "what is longer than a string of MQTT is refused",
    (long) => {
      expect(() => mqttBinding().write(example({ attributes: long }))).toThrow(refusal);
    },
  );
});

describe("structured mode", () => {
  const message = example({ attributes: { datacontenttype: "application/json" } });
  const body = `{"specversion":"1.0","id":"1234-1234-1234","source":"/mycontext/subcontext","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","datacontenttype":"application/json","key":"mykey","data":{"a":1}}`;

  test.each([
    ["NATS", natsBinding],
    ["AMQP", amqpBinding],
    ["MQTT", mqttBinding],
  ])("is written for %s", (_, factory) => {
    const { headers, contentType, body: written } = factory({ mode: "structured" }).write(message);

    expect(contentType ?? Object.fromEntries(headers)["content-type"]).toBe(structuredType);
    expect(new TextDecoder().decode(written)).toBe(body);
  });

  test("data that is a CloudEvent itself goes in structured mode, so that it is not taken for the event", () => {
    const nested = example({ content: '{"specversion":"1.0"}', attributes: { datacontenttype: "application/cloudevents+json" } });

    const written = kafkaBinding().write(nested);

    expect(headersOf(written)["content-type"]).toBe(structuredType);
    expect(kafkaBinding().read(written, place)).toStrictEqual({ message: nested });
  });
});
