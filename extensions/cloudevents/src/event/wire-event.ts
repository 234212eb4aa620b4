import { type Message, quote } from "event-driver";

import { invalidEvent, isAttributeName, isAttributeText, isTimestamp } from "./attribute-rules.ts";
import { invalidMessage } from "../errors.ts";
import { keyIn, type KeyOptions, keyOrder, noKey } from "./key.ts";
import { textWhereText } from "./wire-data.ts";

/** One CloudEvent as a wire gives it or takes it, before any meaning is read into it. */
export interface WireEvent {
  /**
   * Every context attribute by its CloudEvents name (`id`, `source`, `type`, `specversion`, `time`, `datacontenttype`, extensions ...)
   * in its canonical string form. Has no prototype.
   */
  readonly attributes: Readonly<Record<string, string>>;
  /**
   * `undefined` where the event has no data, which is not the same as empty data.
   *
   * Text where the wire has text, bytes where it has bytes. JSON is the text exactly as it stood, never a value written anew, so that
   * `1e400`, `1.10`, repeated names and the order of names survive.
   */
  readonly data: string | Uint8Array | undefined;
}

/** How an event becomes a message. */
export interface ToMessageOptions extends KeyOptions {
  /**
   * The key of an event that has none, such as the reply to a message whose key is known.
   * @default none: such an event is refused
   */
  readonly fallbackKey?: string | undefined;
}

/** @internal The extension that carries a message's `source` where the CloudEvents `source` alone would give another one, as after `renameSources`. */
export const sourceNameExtension = "sourcename";

/** @internal Attributes that a message keeps as parts of its own. */
export const partNames: ReadonlySet<string> = new Set(["id", "source", "type", "time", "specversion"]);

/** @internal CloudEvents 1.0.2, "Context Attributes": these are either not there or not empty. */
export const neverEmpty: ReadonlySet<string> = new Set(["subject", "dataschema", "datacontenttype"]);

/**
 * The message that a CloudEvent is; {@link toWire} is the way back.
 *
 * - `source` is the extension `sourcename`, else what follows the last `#` of the CloudEvents `source`, else the whole of that. The whole
 *   is kept as `origin` where it says more, so the identity is the one of the specification: whole source and id.
 * - `key` is the first attribute of `keyFrom` that is there.
 * - `time` and every other attribute stay the text they were.
 * - Bytes of a text type are text where they are UTF-8. An event without data has the content `""`; data that is there and empty is zero
 *   bytes, so the two stay apart.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT` when `id`, `source` or `type` is missing, `ERR_NO_KEY` when no attribute gives a key,
 * `ERR_INVALID_OPTION`
 * @example fromWire(readEvents(head, body, limits)[0], { keyFrom: ["subject"] })
 */
export function fromWire(event: WireEvent, options: ToMessageOptions = {}): Message {
  return messageOf(event, keyOrder("fromWire", options), options.fallbackKey);
}

/** @internal The same with the order in which attributes are asked for the key, checked before. */
export function messageOf({ attributes, data }: WireEvent, order: readonly string[], fallbackKey?: string): Message {
  const id = required(attributes, "id");
  const wholeSource = required(attributes, "source");
  const type = required(attributes, "type");
  const time = attributes["time"];
  const stated = keyIn(attributes, order);
  const key = stated ?? fallbackKey;
  if (key === undefined) throw noKey(id, order);
  const source = attributes[sourceNameExtension] || nameIn(wholeSource);

  const rest: Record<string, string> = Object.create(null);
  // An extension that only says what `key` or `source` says by now is not kept twice: `toWire` sets it again.
  const keyIsTold = keyIn(attributes, order, "key") !== stated;
  const sourceIsTold = nameIn(wholeSource) !== source;
  for (const name of Object.keys(attributes)) {
    const told = partNames.has(name) || (name === "key" && keyIsTold) || (name === sourceNameExtension && sourceIsTold);
    if (!told) rest[name] = attributes[name] ?? "";
  }

  const content = contentOf(data, attributes["datacontenttype"]);
  const message: { -readonly [Part in keyof Message]: Message[Part] } = { id, key, source, type, content, attributes: rest };
  if (wholeSource !== source) message.origin = wholeSource;
  if (time !== undefined) message.time = time;
  return message;
}

/**
 * The CloudEvent that a message is; {@link fromWire} is the way back.
 *
 * - The CloudEvents `source` is `origin`, else `source`; the extension `sourcename` is added where that would give another name.
 * - The extension `key`, or what else comes first in `keyFrom`, is added where the attributes would give another key.
 * - A message without a `type` has its source's name for one, because every CloudEvent has a type. An absent `time` stays absent.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE` when CloudEvents has no way to say it: an empty id, key or source, a time that is
 * not RFC 3339, an attribute's name that is not lower-case letters and digits, a control character in an attribute; `ERR_INVALID_OPTION`
 * @example toWire(message).attributes["type"]
 */
export function toWire(message: Message, options: KeyOptions = {}): WireEvent {
  const { id, source, origin, type, time, key, content } = message;
  const order = keyOrder("toWire", options);
  for (const [part, value] of Object.entries({ id, source, key, origin: origin ?? source })) {
    if (value === "") throw invalidMessage(id, `has an empty ${part}, which no CloudEvent can carry`);
  }

  const attributes: Record<string, string> = Object.create(null);
  attributes["specversion"] = "1.0";
  attributes["id"] = id;
  attributes["source"] = origin ?? source;
  attributes["type"] = type || source;
  if (time) attributes["time"] = timestamp(id, time);
  copyAttributes(message, attributes);
  if ((attributes[sourceNameExtension] || nameIn(origin ?? source)) !== source) attributes[sourceNameExtension] = source;
  tellKey(message, attributes, order);

  for (const [name, value] of Object.entries(attributes)) {
    if (!isAttributeText(value)) {
      throw invalidMessage(id, `has a control character, a lone surrogate or a noncharacter in ${name}, which no CloudEvent can carry`);
    }
  }
  return { attributes, data: dataIn(content) };
}

function required(attributes: Readonly<Record<string, string>>, name: string): string {
  const value = attributes[name];
  if (value === undefined || value === "") throw invalidEvent(`it has no ${name}`);
  return value;
}

/** @internal The short name of a CloudEvents source: what follows its last `#`, else the whole. */
export function nameIn(source: string): string {
  return source.slice(source.lastIndexOf("#") + 1) || source;
}

function contentOf(data: WireEvent["data"], contentType: string | undefined): Message["content"] {
  if (data === undefined) return "";
  return data.length === 0 ? new Uint8Array(0) : textWhereText(data, contentType);
}

function timestamp(id: string, time: string): string {
  if (isTimestamp(time)) return time;
  throw invalidMessage(id, "has a time that is no RFC 3339 timestamp, which no CloudEvent can carry");
}

function dataIn(content: Message["content"]): WireEvent["data"] {
  return content === "" ? undefined : content;
}

function copyAttributes({ id, attributes }: Message, target: Record<string, string>): void {
  for (const name of Object.keys(attributes)) {
    const value = attributes[name] ?? "";
    if (name === "specversion" || (value === "" && neverEmpty.has(name))) continue;
    if (partNames.has(name)) throw invalidMessage(id, `has an attribute ${name} beside its own ${name}; change the message's part instead`);
    if (!isAttributeName(name)) {
      throw invalidMessage(id, `has the attribute ${quote(name)}; CloudEvents names are lower-case letters and digits, and not "data"`);
    }
    target[name] = value;
  }
}

function tellKey({ id, key }: Message, attributes: Record<string, string>, order: readonly string[]): void {
  if (keyIn(attributes, order) === key) return;
  const carrier = order.find((name) => !partNames.has(name));
  if (carrier !== undefined) attributes[carrier] = key;
  if (keyIn(attributes, order) !== key) throw invalidMessage(id, `has a key that none of ${order.join(", ")} can carry`);
}
