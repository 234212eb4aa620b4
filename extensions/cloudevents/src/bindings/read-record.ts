import { EventDriverError, isEventDriverError, type Message } from "event-driver";

import type { EventRecord } from "./binding.ts";

import { checkAttributes, invalidEvent, isAttributeName } from "../event/attribute-rules.ts";
import { textWhereText } from "../event/wire-data.ts";
import { nameIn, partNames, sourceNameExtension, type WireEvent } from "../event/wire-event.ts";
import { eventFromBytes } from "../http/json-event.ts";
import { isUtf8Charset, parseMediaType } from "../http/media-type.ts";
import { utf8 } from "../http/utf8.ts";
import { plainBytes } from "./header-text.ts";
import { type KeyPlaces, statedKey } from "./key-places.ts";
import { attributePrefix, type Mark, noMark, readMark } from "./mark.ts";
import { type Protocol, saysCloudEvent } from "./protocol.ts";
import { type Head, type HeadReading, readHead } from "./read-head.ts";
import { keyOf } from "./record-place.ts";

/** How the records of one binding are read. */
export interface Reading extends HeadReading {
  readonly places: KeyPlaces;
}

/** How deep the JSON of an event in structured mode may be nested. */
const maxDepth = 128;

const openBrace = 0x7b;

const encoder = new TextEncoder();

/**
 * The message of a record; `undefined` where no producer of CloudEvents wrote it.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT`; `ERR_UNSUPPORTED` for an event format other than JSON
 */
export function readRecord(record: EventRecord, reading: Reading): Message | undefined {
  const { protocol, places } = reading;
  const head = readHead(record, reading);
  const event = readEvent(record, head, protocol);
  if (event === undefined) return undefined;
  const mark = head.mark === undefined ? noMark : readMark(head.mark);
  return messageOf(event, mark, protocol.keyed ? keyOf(record) : undefined, places);
}

function readEvent({ body }: EventRecord, head: Head, protocol: Protocol): WireEvent | undefined {
  const { contentType, attributes } = head;
  if (contentType !== undefined && saysCloudEvent(contentType)) return structured(body, contentType);
  if (!head.isEvent) return protocol.bareJson && contentType === undefined ? bare(body) : undefined;

  if (head.problem !== undefined) throw invalidEvent(head.problem);
  const isStated = protocol.contentType === "attribute" && attributes["datacontenttype"] !== undefined;
  if (contentType !== undefined && !isStated) attributes["datacontenttype"] = contentType;
  checkAttributes(attributes);
  return { attributes, data: body === null || body.length === 0 ? undefined : plainBytes(body) };
}

function structured(body: Uint8Array | null, contentType: string): WireEvent {
  const type = parseMediaType(contentType);
  const isJson = type.essence === "application/cloudevents+json" || type.essence === "application/cloudevents";
  if (!isJson || !isUtf8Charset(type)) {
    throw new EventDriverError("ERR_UNSUPPORTED", {
      message: "the only event format that is read is JSON in UTF-8, one event in a record",
      retryable: false,
    });
  }
  if (body === null) throw invalidEvent("it has no body");
  const text = utf8(body);
  if (text === undefined) throw invalidEvent("its body is not UTF-8");
  return eventFromBytes(text, body, maxDepth);
}

/** An event of a producer that knows no headers: the JSON format goes without saying there. Anything else is foreign. */
function bare(body: Uint8Array | null): WireEvent | undefined {
  if (body === null || body[0] !== openBrace) return undefined;
  const text = utf8(body);
  if (!text?.includes('"specversion"')) return undefined;
  try {
    return eventFromBytes(text, body, maxDepth);
  } catch (error) {
    if (isEventDriverError(error)) return undefined;
    throw error;
  }
}

/** As `fromWire`, with the record's key and with what the mark says instead. */
function messageOf({ attributes, data }: WireEvent, { content, values }: Mark, recordKey: string | undefined, places: KeyPlaces): Message {
  const { id: eventId = "", source: whole = "", type: eventType, time: eventTime } = attributes;
  const id = values.get("id") || eventId;
  const name = nameIn(whole);
  const source = values.get("source") || attributes[sourceNameExtension] || name;
  const stated = statedKey(attributes, recordKey, places);
  // An event that says no key has no order to keep.
  const key = values.get("key") ?? stated ?? id;
  const origin = values.has("origin") ? values.get("origin") : whole === source ? undefined : whole;
  const type = values.has("type") ? values.get("type") : eventType;
  const time = values.get("time") === "" ? "" : eventTime;

  const rest: Record<string, string> = Object.create(null);
  const isKeyTold = attributes["key"] !== undefined && !values.has("key") && statedKey(attributes, recordKey, places, "key") !== stated;
  const isSourceTold = !values.has("source") && name !== source;
  for (const attribute in attributes) {
    if (partNames.has(attribute) || (attribute === "key" && isKeyTold) || (attribute === sourceNameExtension && isSourceTold)) continue;
    rest[attribute] = attributes[attribute] ?? "";
  }
  if (values.size > 0) markAttributes(rest, values);

  const message: { -readonly [Part in keyof Message]: Message[Part] } = {
    id,
    key,
    source,
    content: contentOf(data, attributes["datacontenttype"], content),
    attributes: rest,
  };
  if (origin) message.origin = origin;
  if (type !== undefined) message.type = type;
  if (time !== undefined) message.time = time;
  return message;
}

function markAttributes(attributes: Record<string, string>, values: Mark["values"]): void {
  for (const [entry, value] of values) {
    if (!entry.startsWith(attributePrefix)) continue;
    const name = entry.slice(attributePrefix.length);
    if (value === undefined) delete attributes[name];
    else if (name === "specversion" || (isAttributeName(name) && !partNames.has(name))) attributes[name] = value;
  }
}

function contentOf(data: WireEvent["data"], contentType: string | undefined, marked: Mark["content"]): Message["content"] {
  if (marked === "bytes") return typeof data === "string" ? encoder.encode(data) : (data ?? new Uint8Array(0));
  if (data === undefined) return "";
  if (marked === "text" && typeof data !== "string") {
    const text = utf8(data);
    if (text === undefined) throw invalidEvent("its data is marked as text and is not UTF-8");
    return text;
  }
  return data.length === 0 ? new Uint8Array(0) : textWhereText(data, contentType);
}
