import type { WireEvent } from "@event-driver/cloudevents";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { type HeaderFields, readEvents, readHead } from "../src/http/http-decode.ts";
import { attributes, eventText } from "./requests.ts";

const limits = { depth: 64, batchEvents: 10 };

describe("the content mode", () => {
  test.each([
    "application/cloudevents+json",
    "application/cloudevents+json; charset=UTF-8",
    "application/cloudevents+json;charset=utf-8",
    'application/cloudevents+json ; charset="UTF-8"',
    "Application/CloudEvents+JSON; version=1; charset=us-ascii",
  ])("is structured for %s", (contentType) => {
    expect(readHead(fields({ "content-type": contentType })).mode).toBe("structured");
  });

  test.each(["application/cloudevents-batch+json", "APPLICATION/cloudevents-BATCH+json;charset=UTF-8"])(
    "is batch for %s",
    (contentType) => {
      expect(readHead(fields({ "content-type": contentType })).mode).toBe("batch");
    },
  );

  test.each(["application/json", "text/plain; charset=iso-8859-1", "application/x-cloudevents+json", ""])(
    "is binary for %j",
    (contentType) => {
      expect(readHead(fields({ ...ceHeaders(), "content-type": contentType })).mode).toBe("binary");
    },
  );

  test.each([
    "application/cloudevents",
    "application/cloudevents+avro",
    "application/cloudevents-batch+protobuf",
    "application/cloudevents+json; charset=utf-16",
  ])("is none that is understood for %s", (contentType) => {
    expect(() => readHead(fields({ "content-type": contentType }))).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED" }));
  });
});

describe("binary mode", () => {
  test("reads attributes from ce- headers in any case, and the type of the data from Content-Type", () => {
    const event = binaryEvent({ "CE-Subject": "a b", "Content-Type": "application/vnd.shop+json" }, "{}");

    expect({ ...event.attributes }).toEqual({ ...attributes, subject: "a b", datacontenttype: "application/vnd.shop+json" });
    expect(event.data).toEqual(Buffer.from("{}"));
  });

  test("keeps data of any bytes, and has none where the body is empty", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);

    expect(readEvents(readHead(fields(ceHeaders())), bytes, limits)).toMatchObject([{ data: bytes }]);
    expect(readEvents(readHead(fields(ceHeaders())), new Uint8Array(), limits)).toMatchObject([{ data: undefined }]);
  });

  test.each([
    ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"],
    ["%e2%82%ac", "€"],
    ["%41", "A"],
    ["%2541", "%41"],
    ['"quoted with \\"marks\\" and %20"', 'quoted with "marks" and  '],
    ['a "b c" d', "a b c d"],
    ["100% of 5%2", "100% of 5%2"],
    [latin1("grün"), "grün"],
  ])("decodes the header value %j once", (value, expected) => {
    expect(binaryEvent({ "ce-subject": value }).attributes["subject"]).toBe(expected);
  });

  test.each(["%C0%A0", "%ED%A0%80", "%FF", '"open', "%0A", "%7F", "%EF%BF%BF", "gr\u00fcn"])("refuses the header value %j", (value) => {
    expect(() => binaryEvent({ "ce-subject": value })).toThrow(expect.objectContaining({ code: "ERR_INVALID_EVENT" }));
  });

  test("decodes whatever text a sender encodes as section 3.1.3.2 says", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", minLength: 1 }).filter((text) => !/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(text)),
        (text) => {
          const value = text.replace(/[^\x21\x23\x24\x26-\x7e]+/g, encodeURIComponent);

          expect(binaryEvent({ "ce-subject": value }).attributes["subject"]).toBe(text);
        },
      ),
    );
  });

  test.each([
    [{ "ce-id": "" }, "its id is empty"],
    [{ "ce-specversion": "0.3" }, "its specversion is not 1.0"],
    [{ "ce-my-extension": "1" }, "name"],
    [{ "ce-data": "1" }, "name"],
    [{ "ce-": "1" }, "name"],
    [{ "ce-datacontenttype": "text/plain" }, "Content-Type"],
    [{ "ce-subject": "" }, "its subject is empty"],
    [{ "ce-time": "yesterday" }, "RFC 3339"],
  ])("refuses an event with %j", (changes, problem) => {
    expect(() => binaryEvent(changes)).toThrow(problem);
  });

  test.each(["id", "source", "type", "specversion"])("refuses an event without %s", (name) => {
    const headers: Record<string, string> = ceHeaders();
    delete headers[`ce-${name}`];

    expect(() => readHead(fields(headers))).toThrow(`it has no ${name}`);
  });

  test("refuses an attribute that was sent twice, for two readers may take different ones", () => {
    const twice: HeaderFields = { get: () => undefined, forEach: (visit) => ["1", "2"].forEach((id) => visit(id, "ce-id")) };

    expect(() => readHead(twice)).toThrow("it has ce-id twice");
  });
});

describe("a time", () => {
  test.each(["2018-04-05T17:31:00Z", "2024-02-29T23:59:60.123456789+23:59", "2000-02-29t00:00:00z", "2018-04-05T17:31:00.1000-00:00"])(
    "stays the text it is: %s",
    (time) => {
      expect(binaryEvent({ "ce-time": time }).attributes["time"]).toBe(time);
      expect(structuredEvent(eventText({ time })).attributes["time"]).toBe(time);
    },
  );

  test.each([
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2018-04-31T00:00:00Z",
    "2018-13-01T00:00:00Z",
    "2018-04-05",
    "2018-04-05T24:00:00Z",
    "2018-04-05T17:31:00",
    "2018-04-05 17:31:00Z",
    "2018-04-05T17:31:00.Z",
  ])("is refused: %s", (time) => {
    expect(() => structuredEvent(eventText({ time }))).toThrow("RFC 3339");
  });

  test("stays absent where there is none", () => {
    expect(structuredEvent(eventText()).attributes).not.toHaveProperty("time");
    expect(structuredEvent(eventText({ time: null })).attributes).not.toHaveProperty("time");
  });
});

describe("structured mode", () => {
  test("keeps JSON data as it was written", () => {
    const data = '{ "b":1e400, "a":12345678901234567890,"a":1.10 }';

    expect(structuredEvent(eventText({}, data))).toMatchObject({ data, attributes: { datacontenttype: "application/json" } });
    expect(structuredEvent(eventText({ datacontenttype: "application/vnd.shop+json" }, data)).data).toBe(data);
  });

  test.each([
    ["null", "null"],
    ['"just text"', '"just text"'],
    ["[1,2]", "[1,2]"],
  ])("takes %s for JSON where no type is stated", (json, data) => {
    expect(structuredEvent(eventText({}, json)).data).toBe(data);
  });

  test("reads data of another type from a JSON string", () => {
    expect(structuredEvent(eventText({ datacontenttype: "application/xml" }, '"<a>\\u00e4</a>"')).data).toBe("<a>ä</a>");
    expect(structuredEvent(eventText({ datacontenttype: "text/plain" }, "null")).data).toBeUndefined();
    expect(() => structuredEvent(eventText({ datacontenttype: "text/plain" }, "{}"))).toThrow("not a JSON string");
  });

  test("reads data_base64 as bytes, and knows no type of its own for them", () => {
    const event = structuredEvent(JSON.stringify({ ...attributes, data_base64: "AP8=" }));

    expect(event.data).toEqual(Uint8Array.of(0, 255));
    expect(event.attributes).not.toHaveProperty("datacontenttype");
  });

  test("has no data where there is no member for it", () => {
    expect(structuredEvent(JSON.stringify({ ...attributes, data_base64: null })).data).toBeUndefined();
  });

  test("reads every type of attribute in its canonical form, and null as absent", () => {
    const event = structuredEvent(
      eventText({
        flag: true,
        off: false,
        count: -2147483648,
        most: 2147483647,
        text: "ä",
        binary: "AP8=",
        uri: "https://x.test/a",
        none: null,
      }),
    );

    expect({ ...event.attributes }).toEqual({
      ...attributes,
      flag: "true",
      off: "false",
      count: "-2147483648",
      most: "2147483647",
      text: "ä",
      binary: "AP8=",
      uri: "https://x.test/a",
      datacontenttype: "application/json",
    });
  });

  test.each([
    ['{"a":2147483648}', "32-bit integer"],
    ['{"a":1.5}', "32-bit integer"],
    ['{"a":1e3}', "32-bit integer"],
    ['{"a":{}}', "32-bit integer"],
    ['{"a":[]}', "32-bit integer"],
    ['{"id":5}', "its id is not a JSON string"],
    ['{"a":"\\ud800"}', "character"],
    ['{"a":"\\u0000"}', "character"],
    ['{"A":"x"}', "name"],
    ['{"a_b":"x"}', "name"],
    ['{"id":"1","id":"2"}', "it has id twice"],
    ['{"data":1,"data":2}', "it has data twice"],
    ['{"data":1,"data_base64":"AA=="}', "both data and data_base64"],
    ['{"data_base64":"!"}', "base64"],
    ['{"data_base64":5}', "base64"],
    ["[]", "not a JSON object"],
    ["{", "not a JSON object"],
  ])("refuses %s", (text, problem) => {
    const whole = text.includes('"id"') || !text.startsWith('{"') ? text : `${text.slice(0, -1)},${JSON.stringify(attributes).slice(1)}`;

    expect(() => structuredEvent(whole)).toThrow(problem);
  });

  test("takes names of the language for plain attributes", () => {
    const event = structuredEvent(`{"constructor":"a","tostring":"b",${JSON.stringify(attributes).slice(1)}`);

    expect(event.attributes["constructor"]).toBe("a");
    expect(event.attributes["valueof"]).toBeUndefined();
  });

  test("refuses JSON nested deeper than the limit, and bytes that are not UTF-8", () => {
    const head = readHead(fields({ "content-type": "application/cloudevents+json" }));

    expect(() => structuredEvent(eventText({}, "[".repeat(64) + "]".repeat(64)))).toThrow("64 levels");
    expect(() => readEvents(head, Uint8Array.of(0x7b, 0xff, 0x7d), limits)).toThrow("not UTF-8");
  });

  test("any JSON data comes out as the text that went in", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 2), (json, space) => {
        const data = JSON.stringify(JSON.parse(json), undefined, space);

        expect(structuredEvent(eventText({}, data)).data).toBe(data);
      }),
    );
  });
});

describe("batch mode", () => {
  test("reads each event by itself; one that is none leaves the others as they are", () => {
    const [first, second, third] = batchEvents(`[${eventText({ id: "1" })}, 5 , ${eventText({ id: "3" })}]`);

    expect(first).toMatchObject({ attributes: { id: "1" } });
    expect(second).toMatchObject({ code: "ERR_INVALID_EVENT" });
    expect(third).toMatchObject({ attributes: { id: "3" } });
  });

  test("may be empty", () => {
    expect(batchEvents("[]")).toEqual([]);
  });

  test("is refused beyond its limit, and where it is no array", () => {
    expect(() => batchEvents(`[${"{},".repeat(10)}{}]`)).toThrow(expect.objectContaining({ code: "ERR_TOO_LARGE" }));
    expect(() => batchEvents(eventText())).toThrow("not a JSON array");
    expect(() => batchEvents(`[${"[".repeat(70)}${"]".repeat(70)}]`)).toThrow("64 levels");
  });
});

test("no header and no body makes the parser throw anything but its own errors", () => {
  const name = fc.oneof(fc.constantFrom("content-type", "ce-id", "ce-specversion", "ce-time", "ce-", "ce-data"), fc.string());
  const value = fc.oneof(
    fc.constantFrom("1.0", "application/cloudevents+json", "application/cloudevents-batch+json", "%", '"'),
    fc.string(),
  );
  const body = fc.oneof(
    fc.uint8Array(),
    fc.json().map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(`[${text}]`)),
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), body, (headers, bytes) => {
      expect(outcomeOf(() => readEvents(readHead(fields({ ...ceHeaders(), ...headers })), bytes, limits))).toMatch(/^(read|ERR_)/);
    }),
  );
});

function ceHeaders(): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
}

function fields(headers: Readonly<Record<string, string>>): HeaderFields {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { get: (name) => lower.get(name), forEach: (visit) => lower.forEach(visit) };
}

function binaryEvent(headers: Readonly<Record<string, string>>, body = ""): WireEvent {
  return only(readEvents(readHead(fields({ ...ceHeaders(), ...headers })), Buffer.from(body), limits));
}

function structuredEvent(text: string): WireEvent {
  return only(readEvents(readHead(fields({ "content-type": "application/cloudevents+json" })), Buffer.from(text), limits));
}

function batchEvents(text: string): ReturnType<typeof readEvents> {
  return readEvents(readHead(fields({ "content-type": "application/cloudevents-batch+json" })), Buffer.from(text), limits);
}

function only(events: ReturnType<typeof readEvents>): WireEvent {
  const [event] = events;
  if (events.length !== 1 || event === undefined || !("attributes" in event)) throw new Error("expected one event");
  return event;
}

/** How a header looks in JavaScript whose bytes are the UTF-8 of a text. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function outcomeOf(run: () => unknown): string {
  try {
    run();
    return "read";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
