import { CloudEvent, type CloudEventV1, HTTP, type Message as SdkMessage } from "cloudevents";
import { describe, expect, test } from "vitest";

import type { WireEvent } from "../src/event/wire-event.ts";

import { readEvents, readHead } from "../src/http/http-decode.ts";
import { attributes, eventText } from "./requests.ts";

interface HttpMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const inHeaders: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]),
);

describe("what the SDK writes is read as it was meant", () => {
  const event = new CloudEvent({ ...attributes, time: "2018-04-05T17:31:00Z", data: { total: 12 }, datacontenttype: "application/json" });

  test.each([
    ["binary", HTTP.binary(event)],
    ["structured", HTTP.structured(event)],
  ])("in %s mode", (_, message) => {
    expect(read(asText(message))).toMatchObject({
      attributes: { ...attributes, datacontenttype: "application/json" },
      data: '{"total":12}',
    });
  });
});

/**
 * Why the receiver does not read with the SDK. Each case names the section that decides, and shows what the SDK 10.0.0 makes of the request:
 * where that changes, the case can go.
 */
describe("what the SDK reads otherwise", () => {
  test("a percent-encoded header (HTTP binding, 3.1.3.2): it stays encoded", () => {
    const message = binary({ "ce-subject": "Euro%20%E2%82%AC" });

    expect(readBySdk(message).subject).toBe("Euro%20%E2%82%AC");
    expect(read(message).attributes["subject"]).toBe("Euro €");
  });

  test("a time in nanoseconds (CloudEvents, time; RFC 3339): its last digits are lost", () => {
    const message = binary({ "ce-time": "2018-04-05T17:31:00.123456789Z" });

    expect(readBySdk(message).time).toBe("2018-04-05T17:31:00.123Z");
    expect(read(message).attributes["time"]).toBe("2018-04-05T17:31:00.123456789Z");
  });

  test("an absent time (CloudEvents, time: OPTIONAL): it becomes that of the reading", () => {
    const message = binary({});

    expect(readBySdk(message).time).toBeTypeOf("string");
    expect(read(message).attributes).not.toHaveProperty("time");
  });

  test("a time that is none (CloudEvents, time: MUST adhere to RFC 3339): it becomes that of the reading", () => {
    const message = binary({ "ce-time": "yesterday" });

    expect(readBySdk(message).time).not.toBe("yesterday");
    expect(() => read(message)).toThrow("RFC 3339");
  });

  test.each([
    "application/cloudevents+json;charset=UTF-8",
    'application/cloudevents+json; charset="UTF-8"',
    "Application/CloudEvents+JSON",
  ])("a structured event of type %s (HTTP binding, 3.2.1; RFC 9110, 8.3.1): it is refused", (contentType) => {
    const message = structured(eventText(), contentType);

    expect(() => readBySdk(message)).toThrow(/content type|no cloud event/);
    expect(read(message)).toMatchObject({ attributes, data: '{"total":12}' });
  });

  test("JSON numbers beyond a double (JSON format, 3.1.2; RFC 8259, 6): they are rounded", () => {
    const message = structured(eventText({}, '{"a":12345678901234567890}'));

    expect(JSON.stringify(readBySdk(message).data)).toBe('{"a":12345678901234567000}');
    expect(read(message).data).toBe('{"a":12345678901234567890}');
  });

  test("a JSON string that looks like JSON (JSON format, 3.1.2: MUST NOT further deserialize): it cannot be told from a text that is JSON", () => {
    const message = structured(eventText({}, '"{}"'));

    expect(readBySdk(message).data).toBe("{}");
    expect(read(message).data).toBe('"{}"');
  });

  test("structured data without datacontenttype (JSON format, 3.1.2): its implied type is not told", () => {
    const message = structured(eventText());

    expect(readBySdk(message).datacontenttype).toBeUndefined();
    expect(read(message).attributes["datacontenttype"]).toBe("application/json");
  });

  test("an event with both data and data_base64 (JSON format, 3.1.1: mutually exclusive): one of them is dropped", () => {
    const message = structured(JSON.stringify({ ...attributes, data: 1, data_base64: "AA==" }));

    expect(readBySdk(message).data).not.toBe(1);
    expect(() => read(message)).toThrow("both");
  });
});

function binary(headers: Readonly<Record<string, string>>): HttpMessage {
  return { headers: { "content-type": "application/json", ...inHeaders, ...headers }, body: '{"total":12}' };
}

function structured(body: string, contentType = "application/cloudevents+json"): HttpMessage {
  return { headers: { "content-type": contentType }, body };
}

function readBySdk(message: HttpMessage): CloudEventV1<unknown> {
  const event = HTTP.toEvent({ ...message });
  if (Array.isArray(event)) throw new Error("expected one event");
  return event;
}

/** Data is shown as text; whether it is kept as such, its type decides later. */
function read({ headers, body }: HttpMessage): WireEvent {
  const fields = new Map(Object.entries(headers));
  const head = readHead({ get: (name) => fields.get(name), forEach: (visit) => fields.forEach(visit) });
  const [event] = readEvents(head, Buffer.from(body), { depth: 64, batchEvents: 1 });
  if (event === undefined || !("attributes" in event)) throw event ?? new Error("expected an event");
  return { ...event, data: typeof event.data === "object" ? Buffer.from(event.data).toString() : event.data };
}

function asText({ headers, body }: SdkMessage): HttpMessage {
  const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
  return { headers: Object.fromEntries(fields), body: String(body) };
}
