import { type EventDriverError, type Message, quote } from "event-driver";

import type { Protocol } from "./protocol.ts";

import { invalidMessage } from "../errors.ts";
import { isAttributeName, isAttributeText, isTimestamp } from "../event/attribute-rules.ts";
import { nameIn, neverEmpty, partNames, sourceNameExtension } from "../event/wire-event.ts";
import { emptyRecord } from "./empty-record.ts";
import { isPlain } from "./header-text.ts";
import { type KeyPlaces, statedKey } from "./key-places.ts";
import { attributePrefix, markEntry } from "./mark.ts";

/** A message on its way to a record. */
export interface Draft {
  readonly message: Message;
  /** What the CloudEvent says. */
  readonly attributes: Record<string, string>;
  /** What the message has and the CloudEvent cannot say. */
  readonly mark: string[];
}

/**
 * Says in CloudEvents' words what a message is, and in a mark what is left.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function draftOf(message: Message, keyed: Protocol["keyed"], places: KeyPlaces): Draft {
  const draft: Draft = { message, attributes: emptyRecord(), mark: [] };
  sayParts(draft);
  sayAttributes(draft);
  saySourceName(draft);
  sayKey(draft, keyed, places);
  return draft;
}

function sayParts({ message, attributes, mark }: Draft): void {
  const { id, source, origin, type, time } = message;
  const whole = origin ?? source;
  if (id === "") throw empty("id", id);
  if (source === "") throw empty("source", id);
  if (whole === "") throw empty("origin", id);

  attributes["specversion"] = "1.0";
  attributes["id"] = allowed("id", id, id);
  if (attributes["id"] !== id) mark.push(markEntry("id", id));
  attributes["source"] = allowed("source", whole, id);
  if (attributes["source"] !== whole || origin === source) mark.push(markEntry("origin", origin));
  attributes["type"] = allowed("type", type || source, id);
  if (attributes["type"] !== type) mark.push(markEntry("type", type));
  if (time) attributes["time"] = timestamp(time, id);
  else if (time === "") mark.push(markEntry("time", time));
}

function sayAttributes({ message, attributes, mark }: Draft): void {
  const { id } = message;
  for (const name in message.attributes) {
    const value = message.attributes[name] ?? "";
    if (name === "specversion" || (value === "" && neverEmpty.has(name))) {
      mark.push(markEntry(attributePrefix + name, wellFormed(name, value, id)));
      continue;
    }
    if (partNames.has(name)) throw invalidMessage(id, `has an attribute ${name} beside its own ${name}; change the message's part instead`);
    if (!isAttributeName(name)) {
      throw invalidMessage(id, `has the attribute ${quote(name)}; CloudEvents names are lower-case letters and digits, and not "data"`);
    }
    const text = allowed(name, value, id);
    attributes[name] = text;
    if (text !== value) mark.push(markEntry(attributePrefix + name, value));
  }
}

/** The reader takes `sourcename` for the source, and then keeps it only where it says the same as the CloudEvents source. */
function saySourceName({ message: { id, source }, attributes, mark }: Draft): void {
  const told = attributes[sourceNameExtension];
  const name = nameIn(attributes["source"] ?? "");
  if (name === source && (!told || told === source)) return;
  if (told === undefined && allowed("source", source, id) === source) attributes[sourceNameExtension] = source;
  else mark.push(markEntry("source", source));
}

/** The reader takes the first key that is stated, and keeps the attribute `key` only where another states the same. */
function sayKey({ message, attributes, mark }: Draft, keyed: boolean, places: KeyPlaces): void {
  const { id, key } = message;
  const recordKey = keyed ? key : undefined;
  if (statedKey(attributes, recordKey, places) === key) {
    if (attributes["key"] !== undefined && statedKey(attributes, recordKey, places, "key") !== key) mark.push(markEntry("key", key));
    if (!key.isWellFormed()) throw halfCharacter("key", id);
    return;
  }

  const { carrier } = places;
  if (carrier !== undefined && attributes[carrier] === undefined && allowed("key", key, id) === key) {
    attributes[carrier] = key;
    if (statedKey(attributes, recordKey, places) === key) {
      if (carrier !== "key") mark.push(markEntry(attributePrefix + carrier, message.attributes[carrier]));
      return;
    }
    delete attributes[carrier];
  }
  mark.push(markEntry("key", wellFormed("key", key, id)));
}

/** The value where an attribute may have it, else its percent encoding: control characters and noncharacters are not allowed there. */
function allowed(name: string, value: string, id: string): string {
  if (isPlain(value) || isAttributeText(value)) return value;
  return encodeURIComponent(wellFormed(name, value, id));
}

function wellFormed(name: string, value: string, id: string): string {
  if (value.isWellFormed()) return value;
  throw halfCharacter(name, id);
}

function timestamp(time: string, id: string): string {
  if (isTimestamp(time)) return time;
  throw invalidMessage(id, "has a time that is no RFC 3339 timestamp, which no CloudEvent can carry");
}

function empty(part: string, id: string): EventDriverError {
  return invalidMessage(id, `has an empty ${part}, which no CloudEvent can carry`);
}

function halfCharacter(name: string, id: string): EventDriverError {
  return invalidMessage(id, `has a lone surrogate in its ${name}, which UTF-8 cannot carry`);
}
