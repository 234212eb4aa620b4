import { HTTP } from "cloudevents";
import { createMessage, isEventDriverError, type Message } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { readEvents, readHead } from "../src/http/http-decode.ts";
import { encode, type EncodedEvent } from "../src/http/http-encode.ts";
import { fromWire } from "../src/event/wire-event.ts";
import { jsonText, messages } from "./arbitrary-message.ts";

test("a message sent in structured mode arrives the same", () => {
  fc.assert(
    fc.property(messages, (message) => {
      fc.pre(isCarriedAsText(message));

      expect(arrived(encode(message, { mode: "structured" }))).toEqual(message);
    }),
  );
});

test("a message sent in binary mode arrives the same", () => {
  fc.assert(
    fc.property(messages, (message) => {
      // HTTP binding, section 3.1.2: the body is the data, and no body is also no data.
      fc.pre(message.content.length > 0);
      fc.pre(typeof message.content !== "string" || message.content.isWellFormed());

      expect(arrived(encode(message, { mode: "binary" }))).toEqual(message);
    }),
  );
});

test("the SDK reads what was sent in structured mode, where it reads events right", () => {
  const plainMessages = fc.record({
    id: fc.uuid(),
    key: fc.uuid(),
    source: fc.constantFrom("https://shop.example/orders#event1", "event1"),
    type: fc.constant("order.created"),
    time: fc.constant("2026-11-21T13:35:19.123Z"),
    content: fc.object().map((value) => JSON.stringify(value)),
  });

  fc.assert(
    fc.property(plainMessages, ({ source: origin, ...parts }) => {
      const message = createMessage({ ...parts, source: "event1", origin });

      const event = sdkEvent(encode(message, { mode: "structured" }));

      expect(event).toMatchObject({ id: parts.id, source: origin, type: parts.type, key: parts.key, time: parts.time });
      expect(event["data"]).toEqual(JSON.parse(parts.content));
    }),
  );
});

test("the SDK reads what was sent in binary mode, where it reads events right", () => {
  const { headers, body } = encode(order({ time: "2026-11-21T13:35:19.123Z", attributes: { datacontenttype: "application/json" } }));

  const event = sdkEvent({ headers, body });

  expect(event).toMatchObject({ id: "1", source: "event1", type: "order.created", key: "order-1", time: "2026-11-21T13:35:19.123Z" });
  expect(event["data"]).toEqual({ total: 12 });
});

test("JSON data stands in a structured event as it was written", () => {
  fc.assert(
    fc.property(jsonText, (content) => {
      const { body } = encode(order({ content }), { mode: "structured" });

      expect(String(body).endsWith(`"data":${content}}`)).toBe(true);
    }),
  );
});

// The SDK writes parsed JSON anew: 1e400 becomes null, 12345678901234567890 another number, 1.10 becomes 1.1.
test("numbers beyond a double survive structured mode", () => {
  const content = '{"huge":1e400,"big":12345678901234567890,"price":1.10}';

  expect(encode(order({ content }), { mode: "structured" }).body).toContain(`"data":${content}`);
});

test.each([
  ["a text that is no JSON", "application/json", '{"open":'],
  ["a text that would end the object", "application/json", '{},"id":"2"'],
  ["JSON that is nested very deep", "application/json", "[".repeat(5_000) + "]".repeat(5_000)],
])("%s goes as data_base64 and arrives as it was", (_, datacontenttype, content) => {
  const encoded = encode(order({ content, attributes: { datacontenttype } }), { mode: "structured" });

  expect(encoded.body).toContain('"data_base64":"');
  expect(arrived(encoded).content).toBe(content);
});

// RFC 3339, section 5.6. The SDK makes a Date of it, and writes that with milliseconds.
test.each(["binary", "structured"] as const)("a time with nanoseconds and an offset is sent as it is in %s mode", (mode) => {
  const time = "2026-11-21T13:35:19.123456789+02:00";

  expect(arrived(encode(order({ time }), { mode })).time).toBe(time);
});

// HTTP binding, section 3.1.3.2. The SDK sends such values as they are.
test.each([
  ["Euro €", "Euro%20%E2%82%AC"],
  ["🚀", "%F0%9F%9A%80"],
  ['say "hi"', "say%20%22hi%22"],
  ["100%", "100%25"],
  ["a%20b", "a%2520b"],
  ["!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"],
])("the attribute %s is the header %s", (subject, header) => {
  const { headers } = encode(order({ attributes: { subject } }));

  expect(headers["ce-subject"]).toBe(header);
});

// HTTP binding, section 3.1.1.
test("the type of the data is the Content-Type and no ce- header", () => {
  const { headers } = encode(order({ attributes: { datacontenttype: "application/xml; charset=utf-8" } }));

  expect(headers["content-type"]).toBe("application/xml; charset=utf-8");
  expect(headers).not.toHaveProperty("ce-datacontenttype");
});

// JSON event format, section 3.1.2: absent is application/json. The SDK calls whatever it sends so.
test("data of no stated type is called JSON where it is", () => {
  expect(encode(order({ content: "[1]" })).headers["content-type"]).toBe("application/json");
  expect(encode(order({ content: "[1" })).headers).not.toHaveProperty("content-type");
  expect(encode(order({ content: Uint8Array.of(1) })).headers).not.toHaveProperty("content-type");
});

test("text is sent in UTF-8 and says so, whatever it came in", () => {
  const { headers } = encode(
    order({ content: "Grüße", attributes: { datacontenttype: 'text/plain; charset="ISO-8859-1"; format=flowed' } }),
  );

  expect(headers["content-type"]).toBe("text/plain; charset=utf-8; format=flowed");
});

test("no data is no body, and no data member", () => {
  const message = order({ content: "" });

  expect(encode(message).body).toBeUndefined();
  expect(encode(message, { mode: "structured" }).body).not.toContain('"data');
});

test("empty data is a data member", () => {
  const message = order({ content: new Uint8Array(0), attributes: { datacontenttype: "image/png" } });

  expect(encode(message, { mode: "structured" }).body).toContain('"data_base64":""');
});

test("a lone surrogate in JSON content is sent as its escape", () => {
  const encoded = encode(order({ content: '{"cut":"\ud83d"}' }), { mode: "structured" });

  expect(encoded.body).toContain('"data":{"cut":"\\ud83d"}');
});

test.each([
  ["a lone surrogate in its content", { content: "\ud800" }],
  ["a line break in its content type", { attributes: { datacontenttype: "text/plain\r\nx-injected: 1" } }],
  ["a content type beyond ASCII", { attributes: { datacontenttype: "text/plän" } }],
])("a message with %s is refused in binary mode", (_, parts) => {
  expect(() => encode(order(parts))).toThrow(expect.objectContaining({ code: "ERR_INVALID_MESSAGE", retryable: false }));
});

test("a mode that does not exist is refused", () => {
  const options: object = { mode: "batch" };

  expect(() => encode(order({}), options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test("no header can be slipped in by an attribute", () => {
  fc.assert(
    fc.property(messages, (message) => {
      fc.pre(typeof message.content !== "string" || message.content.isWellFormed());

      const { headers } = encode(message);

      expect(Object.entries(headers).every(([name, value]) => /^(ce-[a-z0-9]+|content-type)$/.test(name) && /^[ -~]*$/.test(value))).toBe(
        true,
      );
    }),
  );
});

function order(parts: Partial<Message>): Message {
  return createMessage({ id: "1", key: "order-1", source: "event1", type: "order.created", content: '{"total":12}', ...parts });
}

function arrived({ headers, body }: EncodedEvent): Message {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : (body ?? new Uint8Array(0));
  const fields = Object.entries(headers);
  const head = readHead({ get: (name) => headers[name], forEach: (visit) => fields.forEach(([name, value]) => visit(value, name)) });
  const [event] = readEvents(head, bytes, { depth: 128, batchEvents: 1 });
  if (event === undefined || isEventDriverError(event)) throw event ?? new Error("no event arrived");
  return fromWire(event);
}

/** UTF-8 has no lone surrogates; JSON has an escape for them, which the content then has too. */
function isCarriedAsText({ content }: Message): boolean {
  return typeof content !== "string" || content.isWellFormed();
}

function sdkEvent({ headers, body }: EncodedEvent): Record<string, unknown> {
  const event = HTTP.toEvent({ headers: { ...headers }, body });
  if (Array.isArray(event)) throw new Error("one event was sent");
  return Object.fromEntries(Object.entries(event));
}
