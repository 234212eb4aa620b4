import { CloudEvent, type CloudEventV1, HTTP } from "cloudevents";
import { createMessage, type Message } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { toCloudEvent, toMessage } from "../src/event/convert.ts";
import { jsonText, messages } from "./arbitrary-message.ts";

const shared = { id: "1", source: "https://shop.example/orders#event1", type: "order.created", subject: "order-1", specversion: "1.0" };

test("a message that becomes a CloudEvent and a message again is the same", () => {
  fc.assert(
    fc.property(messages, (message) => {
      expect(toMessage(toCloudEvent(message))).toEqual(message);
    }),
  );
});

test("a message survives a CloudEvent that somebody has copied, as far as JavaScript can hold its JSON", () => {
  fc.assert(
    fc.property(messages, (message) => {
      // A JSON string that holds JSON again cannot be told from JSON text that nobody has parsed.
      fc.pre(!/^\s*"\s*[[{]/.test(String(message.content)));
      const copy: CloudEventV1<unknown> = Object.assign({ ...shared }, { subject: undefined }, toCloudEvent(message));

      const arrived = toMessage(copy);

      expect({ ...arrived, content: undefined }).toEqual({ ...message, content: undefined });
      expect(parsed(arrived)).toEqual(parsed(message));
    }),
  );
});

test("a CloudEvent of the SDK has its data as JSON text", () => {
  const event = new CloudEvent({ ...shared, data: { total: 12.5, lines: [{ sku: "a" }] } });

  const message = toMessage(event);

  expect(message).toMatchObject({
    id: "1",
    key: "order-1",
    source: "event1",
    origin: shared.source,
    type: "order.created",
    time: event.time,
  });
  expect(message.content).toBe('{"total":12.5,"lines":[{"sku":"a"}]}');
  expect(message.attributes).toEqual({ subject: "order-1", datacontenttype: "application/json" });
});

test.each([
  ["an object", { a: 1 }, '{"a":1}'],
  ["a string", "hello", '"hello"'],
  ["a string that looks like a number", "12", '"12"'],
  ["a number", 0, "0"],
  ["null", null, "null"],
  ["false", false, "false"],
  ["JSON text of an object", ' {"price":1.10}', ' {"price":1.10}'],
  ["text that only begins like JSON", "[draft] order", '"[draft] order"'],
])("data that is %s becomes its JSON text", (_, data, content) => {
  expect(toMessage({ ...shared, data }).content).toBe(content);
});

test("text of another type stays as it is", () => {
  expect(toMessage({ ...shared, datacontenttype: "text/plain", data: '"hello"' }).content).toBe('"hello"');
});

test("null is no data where the type is not JSON", () => {
  expect(toMessage({ ...shared, datacontenttype: "text/plain", data: null }).content).toBe("");
});

test("an event without data has empty content", () => {
  expect(toMessage(new CloudEvent(shared)).content).toBe("");
});

test("bytes stay bytes, from whatever view", () => {
  const view = new Uint16Array([0x0201, 0x0403]).subarray(1);

  const contents = [view, Uint8Array.of(3, 4), Uint8Array.of(3, 4).buffer, Buffer.from([3, 4])].map(
    (data) => toMessage(new CloudEvent<unknown>({ ...shared, datacontenttype: "image/png", data })).content,
  );

  expect(contents).toEqual(Array.from({ length: 4 }, () => Uint8Array.of(3, 4)));
});

// JSON event format, section 3.1.1: the SDK reads data_base64 into a Uint32Array with one element a byte.
test("bytes that the SDK has read from data_base64 are the bytes that were sent", () => {
  const body = JSON.stringify({ ...shared, datacontenttype: "image/png", data_base64: btoa("\u00ff\u0000\u0001") });
  const event = HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body });
  if (Array.isArray(event)) throw new Error("one event was sent");

  const message = toMessage(event);

  expect(event.data).toBeInstanceOf(Uint32Array);
  expect(message.content).toEqual(Uint8Array.of(0xff, 0, 1));
});

test("extensions of every type become their canonical text", () => {
  const event = { ...shared, flag: true, count: -7, at: new Date(0), bytes: Uint8Array.of(1, 2), absent: undefined, unset: null };

  expect(toMessage(event).attributes).toEqual({
    subject: "order-1",
    flag: "true",
    count: "-7",
    at: "1970-01-01T00:00:00.000Z",
    bytes: "AQI=",
  });
});

test.each([
  ["an extension that is an object", { extension: {} }],
  ["an extension that is not whole", { extension: 1.5 }],
  ["an extension beyond 32 bits", { extension: 2 ** 31 }],
  ["an extension that is no date", { extension: new Date(Number.NaN) }],
  ["an extension with a control character", { extension: "a\u0000" }],
  ["an attribute's name with a dash", { "trace-id": "x" }],
  ["a version other than 1.0", { specversion: "0.3" }],
  ["no type", { type: "" }],
  ["a time that is none", { time: "yesterday" }],
  ["data_base64 that is none", { data_base64: "?" }],
  ["data that JSON cannot hold", { data: 1n }],
  ["data that is a function", { data: () => 1 }],
  ["an object as text", { datacontenttype: "text/plain", data: {} }],
])("an event with %s is refused", (_, part) => {
  expect(() => toMessage({ ...shared, ...part })).toThrow(expect.objectContaining({ code: "ERR_INVALID_EVENT", retryable: false }));
});

test("a CloudEvent made from a message is the SDK's, with its JSON parsed", () => {
  const event = toCloudEvent(order({ content: '{"total":12.5}', time: "2026-11-21T13:35:19.123456789Z" }));

  expect(event).toBeInstanceOf(CloudEvent);
  expect(event.validate()).toBe(true);
  expect(event.data).toEqual({ total: 12.5 });
  expect(event.time).toBe("2026-11-21T13:35:19.123456789Z");
});

// CloudEvents 1.0.2, "time" is OPTIONAL: the SDK puts the present in the place of an absent one.
test("a CloudEvent made from a message without a time has none", () => {
  const event = toCloudEvent(order({}));

  expect(event).not.toHaveProperty("time");
  expect(JSON.parse(JSON.stringify(event))).not.toHaveProperty("time");
});

// RFC 3339, section 5.6: a fraction has any number of digits. The SDK cuts them to three.
test("a CloudEvent as JSON keeps the digits of its time", () => {
  const time = "2026-11-21T13:35:19.123456789+02:00";

  expect(JSON.parse(JSON.stringify(toCloudEvent(order({ time }))))).toMatchObject({ time });
});

test("the SDK's structured mode sends the content as it was", () => {
  fc.assert(
    fc.property(jsonText, (content) => {
      const { body } = HTTP.structured(toCloudEvent(order({ content })));

      expect(body).toContain(`"data":${content.isWellFormed() ? content : ""}`);
    }),
  );
});

test("the SDK's binary mode sends bytes as they are", () => {
  const content = Uint8Array.of(0, 255);

  const { headers, body } = HTTP.binary(toCloudEvent(order({ content, attributes: { datacontenttype: "image/png" } })));

  expect(headers["content-type"]).toBe("image/png");
  expect(body).toEqual(content);
});

test("bytes are base64 in a CloudEvent's JSON", () => {
  const event = toCloudEvent(order({ content: Uint8Array.of(0, 255), attributes: { datacontenttype: "image/png" } }));

  expect(JSON.parse(JSON.stringify(event))).toMatchObject({ data_base64: "AP8=" });
  expect(JSON.parse(JSON.stringify(event))).not.toHaveProperty("data");
  expect(JSON.parse(event.toString())).toMatchObject({ data_base64: "AP8=" });
});

test("content that says JSON and is none is handed over as bytes", () => {
  const event = toCloudEvent(order({ content: "{not json", attributes: { datacontenttype: "application/json" } }));

  expect(event.data).toEqual(new TextEncoder().encode("{not json"));
});

test("the data of a CloudEvent made from a message cannot be changed, so it always says what its message says", () => {
  const event = toCloudEvent(order({ content: '{"lines":[{"sku":"a"}]}' }));

  expect(Object.isFrozen(event)).toBe(true);
  expect(event.data).toSatisfy(
    (data: { lines: object[] }) => Object.isFrozen(data) && Object.isFrozen(data.lines) && Object.isFrozen(data.lines[0]),
  );
});

test("a copy with other data is another event", () => {
  const event = toCloudEvent(order({ content: '{"price":1.10}' }));

  const message = toMessage(event.cloneWith({ data: { price: 2 } }));

  expect(message.content).toBe('{"price":2}');
});

function order(parts: Partial<Message>): Message {
  return createMessage({ id: "1", key: "order-1", source: "event1", type: "order.created", content: '{"total":12}', ...parts });
}

/** What is left of JSON content when JavaScript has read and written it. */
function parsed({ content }: Message): string | Uint8Array {
  try {
    return typeof content === "string" ? JSON.stringify(JSON.parse(content)) : content;
  } catch {
    return content;
  }
}
