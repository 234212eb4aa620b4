import type { CloudEvent, CloudEventV1 } from "cloudevents";

import { EventDriverError, fromBase64, type Message, toBase64 } from "event-driver";

import type { KeyOptions } from "./key.ts";

import { checkAttributes, invalidEvent, isAttributeName, isAttributeText } from "./attribute-rules.ts";
import { exactCloudEvent, wireOf } from "./exact-cloud-event.ts";
import { saysJson } from "./wire-data.ts";
import { fromWire, type ToMessageOptions, toWire, type WireEvent } from "./wire-event.ts";

export type { ToMessageOptions };

/**
 * The message that a CloudEvent of the `cloudevents` SDK is, or a plain object of its shape.
 *
 * Use it where your code already holds such an event. What the SDK has parsed is written anew: a number that JavaScript cannot hold was lost
 * before this function was called, while the receiver reads the wire itself and loses nothing. Text in the place of JSON data is taken as it
 * stands where it is an object or an array, else as a JSON string. An event of {@link toCloudEvent} gives back exactly the content it was
 * made from.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT` when it is no CloudEvent 1.0, `ERR_NO_KEY` when no attribute gives a key, both terminal;
 * `ERR_INVALID_OPTION`
 * @example await orders.process(createContext(), toMessage(cloudEvent));
 */
export function toMessage(event: CloudEventV1<unknown>, options: ToMessageOptions = {}): Message {
  return fromWire(wireOf(event) ?? readEvent(event), options);
}

/**
 * The CloudEvent of the `cloudevents` SDK that a message is: frozen, with JSON content parsed as its `data`.
 *
 * Use it to hand a message to code that speaks the SDK's types. An absent time stays absent, a time keeps its digits, and `toString()` and
 * with it the SDK's `HTTP.structured` write the content as it was. The SDK's `HTTP.binary` writes JSON anew and attributes without the
 * escapes that headers need; use `encode` instead. Content that says JSON and is none is handed over as bytes.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE` when CloudEvents has no way to say it, `ERR_INVALID_OPTION`
 * @example await emit(toCloudEvent(message));
 */
export function toCloudEvent(message: Message, options: KeyOptions = {}): CloudEvent<unknown> {
  return exactCloudEvent(toWire(message, options));
}

function readEvent(event: CloudEventV1<unknown>): WireEvent {
  const attributes: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(event)) {
    if (name === "data" || name === "data_base64" || value === undefined || value === null) continue;
    if (!isAttributeName(name)) throw invalidEvent("an attribute's name is not made of lower-case letters and digits alone");
    attributes[name] = canonicalText(name, value);
  }
  checkAttributes(attributes);

  const bytes = bytesOf(event);
  if (bytes !== undefined) return { attributes, data: bytes };
  if (event.data === undefined) return { attributes, data: undefined };
  // JSON event format, section 3.1.2: data without a type is JSON, and says so from here on.
  attributes["datacontenttype"] ??= "application/json";
  return { attributes, data: textOf(event.data, attributes["datacontenttype"]) };
}

/** CloudEvents 1.0.2, "Type System". */
function canonicalText(name: string, value: unknown): string {
  if (typeof value === "string") {
    if (!isAttributeText(value)) throw invalidEvent(`its ${name} holds a character that attributes may not hold`);
    return value;
  }
  if (typeof value === "boolean" || (Number.isInteger(value) && value === Number(value) >> 0)) return String(value);
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  if (ArrayBuffer.isView(value)) return toBase64(viewed(value));
  throw invalidEvent(`its ${name} is of no type that attributes have: text, Boolean, 32-bit integer, bytes or time`);
}

/** Of the SDK's two copies of bytes, `data` is the true one: `data_base64` has the last byte of each element, which is right for bytes only. */
function bytesOf({ data, data_base64: base64 }: CloudEventV1<unknown>): Uint8Array | undefined {
  if (base64 !== undefined && (data === undefined || isWidened(data))) return decoded(base64);
  if (ArrayBuffer.isView(data)) return viewed(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined;
}

/** What the SDK's structured mode makes of data_base64: an array with four bytes for each one of the data. */
function isWidened(data: unknown): boolean {
  return data instanceof Uint32Array && data.every((element) => element <= 0xff);
}

function decoded(base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch (cause) {
    throw new EventDriverError("ERR_INVALID_EVENT", {
      message: "not a CloudEvent: its data_base64 is not base64",
      retryable: false,
      cause,
    });
  }
}

function viewed({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function textOf(data: unknown, contentType: string): string | undefined {
  if (!saysJson(contentType)) {
    if (typeof data === "string") return data;
    if (data === null) return undefined;
    throw invalidEvent("its data is neither text nor bytes, although its datacontenttype is not JSON");
  }
  if (typeof data === "string" && /^\s*[[{]/.test(data) && isJson(data)) return data;
  return written(data);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function written(data: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new EventDriverError("ERR_INVALID_EVENT", { message: "not a CloudEvent: JSON cannot hold its data", retryable: false, cause });
  }
  if (json === undefined) throw invalidEvent("JSON cannot hold its data");
  return json;
}
