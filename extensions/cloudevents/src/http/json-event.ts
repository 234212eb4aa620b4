import { EventDriverError, fromBase64, type JsonMember, type JsonScan, scanJson } from "event-driver";

import type { WireEvent } from "../event/wire-event.ts";

import { checkAttributes, invalidEvent, isAttributeName, isAttributeText } from "../event/attribute-rules.ts";
import { scanJsonObject } from "./json-bytes.ts";
import { isJsonType, parseMediaType } from "./media-type.ts";

const textOnly: ReadonlySet<string> = new Set(["specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype"]);
const integer = /^-?\d+$/;

/**
 * Reads one event in the JSON event format 1.0.2. JSON data stays the text it was written as.
 *
 * Use it where an event in structured mode comes by another way than HTTP, such as in the data of a queue's message.
 *
 * @param depth how many objects and arrays may stand inside one another, the event itself included; 128 by default
 * @throws EventDriverError `ERR_INVALID_EVENT`
 * @example const message = fromWire(eventFromJson(text));
 */
export function eventFromJson(text: string, depth: number = 128): WireEvent {
  return eventOf(membersOf(scanJson(text, depth), depth));
}

/** @internal The same for a text whose UTF-8 is at hand. */
export function eventFromBytes(text: string, bytes: Uint8Array, depth: number): WireEvent {
  // One byte a character: then a place in one is the same place in the other.
  const isAscii = text.length === bytes.length;
  return eventOf(membersOf(isAscii ? scanJsonObject(text, bytes, depth) : scanJson(text, depth), depth));
}

function eventOf(members: readonly JsonMember[]): WireEvent {
  const attributes: Record<string, string> = Object.create(null);
  let data: string | undefined;
  let base64: string | undefined;
  for (const { name, value } of members) {
    if (name === "data") data = once(name, data, value);
    else if (name === "data_base64") base64 = value === "null" ? base64 : once(name, base64, value);
    else if (!isAttributeName(name)) throw invalidEvent("a member's name is not made of lower-case letters and digits alone");
    // Section 2.2: null is the same as left out.
    else if (value !== "null") attributes[name] = once(name, attributes[name], attributeText(name, value));
  }
  checkAttributes(attributes);

  if (base64 !== undefined) {
    if (data !== undefined) throw invalidEvent("it has both data and data_base64");
    return { attributes, data: bytesOf(base64) };
  }
  if (data === undefined) return { attributes, data };
  // Section 3.1.2: data without a type is JSON, and says so from here on.
  attributes["datacontenttype"] ??= "application/json";
  return { attributes, data: isJsonType(parseMediaType(attributes["datacontenttype"])) ? data : textData(data) };
}

/**
 * Takes the JSON batch format apart; each text is one event, to be read by itself.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT`, `ERR_TOO_LARGE`
 */
export function batchFromJson(text: string, limits: { readonly depth: number; readonly batchEvents: number }): readonly string[] {
  const scan = scanJson(text, limits.depth + 1);
  if (scan.kind === "too deep") throw tooDeep(limits.depth);
  if (scan.kind !== "array") throw invalidEvent("the body is not a JSON array");
  if (scan.elements.length > limits.batchEvents) {
    throw new EventDriverError("ERR_TOO_LARGE", {
      message: `the batch holds ${scan.elements.length} events, allowed are ${limits.batchEvents}; send smaller ones`,
      retryable: false,
    });
  }
  return scan.elements;
}

function membersOf(scan: JsonScan, depth: number): readonly JsonMember[] {
  if (scan.kind === "too deep") throw tooDeep(depth);
  if (scan.kind !== "object") throw invalidEvent("it is not a JSON object");
  return scan.members;
}

function tooDeep(depth: number): EventDriverError {
  return invalidEvent(`its JSON is nested deeper than ${depth} levels`);
}

/** Two readers of a repeated name may take different ones, so nobody should act on either. */
function once(name: string, before: string | undefined, now: string): string {
  if (before !== undefined) throw invalidEvent(`it has ${name} twice`);
  return now;
}

/** Section 2.2, each JSON type as its canonical string. */
function attributeText(name: string, json: string): string {
  const first = json[0];
  if (first === '"') {
    const text = textOf(json);
    if (!isAttributeText(text)) throw invalidEvent(`its ${name} holds a character that attributes may not hold`);
    return text;
  }
  if (textOnly.has(name)) throw invalidEvent(`its ${name} is not a JSON string`);
  if (json === "true" || json === "false") return json;
  const number = integer.test(json) ? Number(json) : Number.NaN;
  if (!(number >= -(2 ** 31) && number < 2 ** 31)) throw invalidEvent(`its ${name} is neither text, a Boolean nor a 32-bit integer`);
  return String(number);
}

function textData(json: string): string | undefined {
  if (json === "null") return undefined;
  if (json[0] !== '"') throw invalidEvent("its data is not a JSON string, although its datacontenttype is not JSON");
  return textOf(json);
}

function bytesOf(json: string): Uint8Array {
  try {
    return fromBase64(json[0] === '"' ? textOf(json) : json);
  } catch (cause) {
    throw invalidEvent("its data_base64 is not base64", cause);
  }
}

/** The text of a JSON string that has been scanned before. */
function textOf(json: string): string {
  return json.includes("\\") ? String(JSON.parse(json)) : json.slice(1, -1);
}
