import { eventFromJson, fromWire, type WireEvent } from "@event-driver/cloudevents";
import { EventDriverError, type Message, quote, toBase64, withAttributes, withKey, withSource } from "event-driver";

import type { PubsubDelivery, PubsubMessage } from "./pubsub-envelope.ts";

import { rememberAttempt } from "./attempts.ts";

/** What Eventarc calls the arrival of a message, and a message's type where it states none. */
export const messagePublished = "google.cloud.pubsub.topic.v1.messagePublished";

export interface PubsubMessageOptions {
  /**
   * The key of a message. `undefined` goes by the default.
   * @default of a CloudEvent what `keyFrom` finds; else the ordering key; else the id, so that each message stands for itself
   */
  readonly key?: ((message: PubsubMessage) => string | undefined) | undefined;
  /**
   * The attributes a CloudEvent's key may stand in, in the order they are asked.
   * @default ["key", "partitionkey"]
   */
  readonly keyFrom?: readonly string[] | undefined;
  /**
   * Short name of what messages come from, where they are no CloudEvents, which say so themselves.
   * @default the last part of the topic's name, or of the subscription's where the topic is not told
   */
  readonly source?: string | undefined;
}

/**
 * The message that a Pub/Sub message is.
 *
 * One that carries a CloudEvent becomes that: its attributes are in `ce-` attributes, or it is in structured mode. Any other has the id, the
 * publish time and the attributes that Pub/Sub gives it.
 *
 * @param origin what it came from, such as `//pubsub.googleapis.com/projects/shop/topics/orders`
 * @throws EventDriverError `ERR_INVALID_EVENT` for a CloudEvent that is none, `ERR_UNSUPPORTED` for one in another format than JSON
 */
export function messageOf({ message: given, attempt }: PubsubDelivery, origin: string, options: PubsubMessageOptions): Message {
  const { event, rest } = split(given);
  const message = event === undefined ? plainMessage(given, rest, origin, options) : eventMessage(event, given, rest, options);
  const key = options.key?.(given);
  return rememberAttempt(key === undefined ? message : withKey(message, key), attempt);
}

/** The CloudEvent that a Pub/Sub message carries, if any, and the attributes that are not part of it. */
function split({ attributes, data, messageId }: PubsubMessage): {
  readonly event: WireEvent | undefined;
  readonly rest: Readonly<Record<string, string>>;
} {
  const members: Record<string, string> = Object.create(null);
  const rest: Record<string, string> = Object.create(null);
  let contentType: string | undefined;
  for (const [name, value] of Object.entries(attributes)) {
    const lower = name.toLowerCase();
    if (lower.startsWith("ce-")) members[lower.slice(3)] = value;
    else if (lower === "content-type") contentType = value;
    else rest[name] = value;
  }
  if (contentType?.toLowerCase().startsWith("application/cloudevents")) return { event: structured(contentType, data, messageId), rest };
  if (members["specversion"] === undefined && members["id"] === undefined) {
    return { event: undefined, rest: { ...rest, ...(contentType !== undefined && { datacontenttype: contentType }) } };
  }
  // By way of the JSON format, whose reader checks every attribute.
  if (contentType !== undefined) members["datacontenttype"] = contentType;
  const body = data === undefined ? members : { ...members, data_base64: toBase64(data) };
  return { event: eventFromJson(JSON.stringify(body)), rest };
}

function structured(contentType: string, data: Uint8Array | undefined, messageId: string): WireEvent {
  if (!/^application\/cloudevents\+json\s*(;|$)/i.test(contentType)) {
    throw new EventDriverError("ERR_UNSUPPORTED", {
      message: `Pub/Sub message ${quote(messageId)} holds CloudEvents in another format than application/cloudevents+json`,
      retryable: false,
    });
  }
  try {
    return eventFromJson(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new EventDriverError("ERR_INVALID_EVENT", {
      message: `Pub/Sub message ${quote(messageId)} holds a CloudEvent that is not UTF-8`,
      retryable: false,
      cause,
    });
  }
}

function eventMessage(
  event: WireEvent,
  { orderingKey, messageId }: PubsubMessage,
  rest: Readonly<Record<string, string>>,
  { keyFrom = ["key", "partitionkey"] }: PubsubMessageOptions,
): Message {
  const message = fromWire(event, { keyFrom, fallbackKey: orderingKey || event.attributes["subject"] || messageId });
  return withAttributes(message, { ...rest, ...message.attributes });
}

function plainMessage(
  { messageId, data, publishTime, orderingKey }: PubsubMessage,
  { datacontenttype, ...rest }: Readonly<Record<string, string>>,
  origin: string,
  { source }: PubsubMessageOptions,
): Message {
  const attributes = {
    id: messageId,
    source: origin,
    type: messagePublished,
    ...(publishTime && { time: publishTime }),
    ...(datacontenttype && { datacontenttype }),
  };
  const message = fromWire({ attributes, data }, { keyFrom: ["key"], fallbackKey: orderingKey || messageId });
  return withAttributes(withSource(message, source ?? lastPartOf(origin)), { ...rest, ...message.attributes });
}

function lastPartOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1) || name;
}
