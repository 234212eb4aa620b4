import { invalidOption, type Message } from "event-driver";

import type { KeyOptions } from "../event/key.ts";

import { invalidMessage } from "../errors.ts";
import { encodeHeaderValue } from "./header-value.ts";
import { inUtf8 } from "./media-type.ts";
import { isJson, structuredJson } from "./structured-json.ts";
import { toWire, type WireEvent } from "../event/wire-event.ts";

/** Where an event's attributes go: into headers, with the data as the body; or into one JSON body together with the data. */
export type ContentPlacement = "binary" | "structured";

export interface EncodeOptions extends KeyOptions {
  /** @default "binary" */
  readonly mode?: ContentPlacement | undefined;
}

/** What to put in an HTTP request or response. */
export interface EncodedEvent {
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined` where there is no data. Text is meant as UTF-8. */
  readonly body: string | Uint8Array | undefined;
}

/**
 * Writes a message as a CloudEvent over HTTP (HTTP binding 1.0.2).
 *
 * Use it where the sender does not fit, for example for a response of your own. In binary mode an empty body stands for no data and for
 * empty data alike: the binding has no other way. Structured mode keeps them apart.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE` when HTTP or CloudEvents has no way to say it, `ERR_INVALID_OPTION`
 * @example const { headers, body } = encode(message, { mode: "structured" });
 */
export function encode(message: Message, options: EncodeOptions = {}): EncodedEvent {
  const { mode = "binary" } = options;
  requireMode("encode", mode);
  return encodeEvent(toWire(message, options), mode, message.id);
}

/** @internal @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireMode(factory: string, mode: ContentPlacement): void {
  if (mode !== "binary" && mode !== "structured") throw invalidOption(factory, "mode", mode, '"binary" or "structured"');
}

/**
 * @internal
 * @param id of the message, for errors
 */
export function encodeEvent(event: WireEvent, mode: ContentPlacement, id: string): EncodedEvent {
  if (mode === "binary") return binary(event, id);
  return { headers: { "content-type": "application/cloudevents+json; charset=utf-8" }, body: structuredJson(event) };
}

/** Section 3.1. */
function binary({ attributes, data }: WireEvent, id: string): EncodedEvent {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(attributes)) {
    if (name !== "datacontenttype") headers[`ce-${name}`] = encodeHeaderValue(value);
  }
  const contentType = attributes["datacontenttype"] ?? typeOf(data);
  if (contentType !== undefined) {
    if (!/^[\x20-\x7e]+$/.test(contentType)) {
      throw invalidMessage(id, "has a datacontenttype that no Content-Type header can carry; send it in structured mode, or correct it");
    }
    headers["content-type"] = typeof data === "string" ? inUtf8(contentType) : contentType;
  }
  if (typeof data === "string" && !data.isWellFormed()) {
    throw invalidMessage(id, "has a lone surrogate in its content, which UTF-8 cannot carry; send it as bytes, or in structured mode");
  }
  return { headers, body: data };
}

/** JSON format, section 3.1.2: data without a type is JSON. Here that has to be said, so that a receiver learns the same in both modes. */
function typeOf(data: WireEvent["data"]): string | undefined {
  return typeof data === "string" && isJson(data) ? "application/json" : undefined;
}
