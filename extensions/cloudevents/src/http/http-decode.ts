import { EventDriverError, isEventDriverError } from "event-driver";

import type { WireEvent } from "../event/wire-event.ts";

import { checkAttributes, invalidEvent, isAttributeName, isAttributeText } from "../event/attribute-rules.ts";
import { decodeHeaderValue, isPlainHeaderValue } from "./header-value.ts";
import { batchFromJson, eventFromBytes, eventFromJson } from "./json-event.ts";
import { isUtf8Charset, parseMediaType } from "./media-type.ts";
import { utf8 } from "./utf8.ts";

/** The three ways in which the HTTP binding carries events. */
export type ContentMode = "binary" | "structured" | "batch";

/** The header fields of a request, whatever server it came through. */
export interface HeaderFields {
  /** The first field of this lower-case name. */
  get(name: string): string | undefined;
  /** Every field; names are in lower case. One that was sent twice comes twice where the server keeps them apart. */
  forEach(visit: (value: string, name: string) => void): void;
}

/** What the header says about the event or events of a request. */
export interface EventHead {
  readonly mode: ContentMode;
  /** Of binary mode: all attributes. The other modes have them in the body. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface DecodeLimits {
  /** How many objects and arrays may stand inside one another. */
  readonly depth: number;
  readonly batchEvents: number;
}

/** One entry of a request: an event, or why it is none. */
export type DecodedEvent = WireEvent | EventDriverError;

/**
 * Finds out the content mode, and in binary mode the attributes: HTTP binding 1.0.2, sections 3 and 3.1. Needs no body.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT`; `ERR_UNSUPPORTED` for an event format other than JSON in UTF-8
 */
export function readHead(headers: HeaderFields): EventHead {
  const attributes: Record<string, string> = Object.create(null);
  const contentType = headers.get("content-type");
  const mode = contentType === undefined ? "binary" : modeOf(contentType);
  if (mode !== "binary") return { mode, attributes };

  headers.forEach((value, name) => {
    if (name.startsWith("ce-")) readAttribute(attributes, name.slice(3), value);
  });
  // Section 3.1.1: the type of the data is the Content-Type and nothing else.
  if (contentType) attributes["datacontenttype"] = attributeText("Content-Type", contentType);
  checkAttributes(attributes);
  return { mode, attributes };
}

/**
 * The events of a request whose head has been read. In a batch each stands for itself: one that is no CloudEvent leaves the others as they are.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT`, `ERR_TOO_LARGE`, where it is not about a single event of a batch
 */
export function readEvents({ mode, attributes }: EventHead, body: Uint8Array, limits: DecodeLimits): readonly DecodedEvent[] {
  if (mode === "binary") return [{ attributes, data: body.length === 0 ? undefined : body }];
  const text = utf8(body);
  if (text === undefined) throw invalidEvent("the body is not UTF-8");
  if (mode === "structured") return [eventFromBytes(text, body, limits.depth)];
  return batchFromJson(text, limits).map((each) => entryOfBatch(each, limits.depth));
}

/** Section 3: the prefix of the media type decides, in any case and with any parameters. */
function modeOf(contentType: string): ContentMode {
  const type = parseMediaType(contentType);
  if (!type.essence.startsWith("application/cloudevents")) return "binary";
  if (!isUtf8Charset(type)) throw unsupported("events are read in UTF-8 only");
  if (type.essence === "application/cloudevents+json") return "structured";
  if (type.essence === "application/cloudevents-batch+json") return "batch";
  throw unsupported("the only event format read is JSON: application/cloudevents+json or application/cloudevents-batch+json");
}

function readAttribute(attributes: Record<string, string>, name: string, value: string): void {
  if (name === "datacontenttype") throw invalidEvent("it has a ce-datacontenttype header; its place is Content-Type");
  if (!isAttributeName(name)) throw invalidEvent("a ce- header's name is not made of letters and digits alone");
  if (attributes[name] !== undefined) throw invalidEvent(`it has ce-${name} twice`);
  if (isPlainHeaderValue(value)) {
    attributes[name] = value;
    return;
  }
  const text = decodeHeaderValue(value);
  if (text === undefined) throw invalidEvent(`its ce-${name} header is not percent-encoded UTF-8, or a quotation in it does not end`);
  attributes[name] = attributeText(`ce-${name}`, text);
}

function attributeText(header: string, text: string): string {
  if (!isAttributeText(text)) throw invalidEvent(`its ${header} header holds a character that attributes may not hold`);
  return text;
}

function entryOfBatch(text: string, depth: number): DecodedEvent {
  try {
    return eventFromJson(text, depth);
  } catch (error) {
    if (isEventDriverError(error)) return error;
    throw error;
  }
}

function unsupported(message: string): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", { message, retryable: false });
}
