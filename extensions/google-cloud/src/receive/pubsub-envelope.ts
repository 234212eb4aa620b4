import type { EventRequest } from "@event-driver/cloudevents";

import { quote } from "event-driver";

import { invalidData, isObject, type JsonObject, parseObject, textIn, textsIn } from "./json-fields.ts";

/** A message as Pub/Sub keeps it. */
export interface PubsubMessage {
  /** Unique within its topic. */
  readonly messageId: string;
  /** `undefined` where it has none but attributes. */
  readonly data: Uint8Array | undefined;
  /** Has no prototype. */
  readonly attributes: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly publishTime: string | undefined;
  readonly orderingKey: string | undefined;
}

/** A message with how it was delivered. */
export interface PubsubDelivery {
  readonly message: PubsubMessage;
  /** For example `projects/shop/subscriptions/orders`. */
  readonly subscription: string | undefined;
  /** 1 for the first one. Pub/Sub counts only where the subscription has a dead letter topic. */
  readonly attempt: number | undefined;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Reads what a push subscription sends, and what Eventarc sends as the data of `google.cloud.pubsub.topic.v1.messagePublished`: the same JSON.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function deliveryFromJson(data: string | Uint8Array | undefined): PubsubDelivery {
  const envelope = parseObject(data, "what Pub/Sub has sent");
  const message = envelope["message"];
  if (!isObject(message)) throw invalidData("what Pub/Sub has sent holds no message");
  const messageId = textIn(message, "messageId", "a Pub/Sub message") || textIn(message, "message_id", "a Pub/Sub message");
  if (!messageId) throw invalidData("a Pub/Sub message has no messageId");
  const what = `Pub/Sub message ${quote(messageId)}`;
  return {
    message: {
      messageId,
      data: bytesIn(message, what),
      attributes: textsIn(message, "attributes", what),
      publishTime: textIn(message, "publishTime", what),
      orderingKey: textIn(message, "orderingKey", what),
    },
    subscription: textIn(envelope, "subscription", what),
    attempt: attemptIn(envelope, what),
  };
}

/** Whether the request is an unwrapped delivery: the data alone is its body, and the metadata is in its header. */
export function isUnwrapped({ headers }: EventRequest): boolean {
  return headers.get("x-goog-pubsub-message-id") !== undefined;
}

/**
 * Reads an unwrapped delivery. Of the message's attributes only those that `names` tells are taken: the others cannot be told from the header
 * fields of whoever carried the request, such as its credentials.
 */
export function deliveryFromHeader({ headers }: EventRequest, body: Uint8Array, names: readonly string[]): PubsubDelivery {
  const attributes: Record<string, string> = Object.create(null);
  headers.forEach((value, name) => {
    if (name.startsWith("ce-") || name === "content-type") attributes[name] = utf8(value);
  });
  for (const name of names) {
    const value = headers.get(name.toLowerCase());
    if (value !== undefined) attributes[name] = utf8(value);
  }
  return {
    message: {
      messageId: headers.get("x-goog-pubsub-message-id") ?? "",
      data: body.length === 0 ? undefined : body,
      attributes,
      publishTime: headers.get("x-goog-pubsub-publish-time"),
      // The second name is the one of Google's emulator.
      orderingKey: headers.get("x-goog-pubsub-ordering-key") ?? headers.get("x-goog-ordering-key"),
    },
    subscription: headers.get("x-goog-pubsub-subscription-name"),
    attempt: undefined,
  };
}

/** Pub/Sub writes attributes as UTF-8, whose bytes a server hands on as so many characters. */
function utf8(value: string): string {
  const text = Buffer.from(value, "latin1").toString("utf8");
  return text.includes("\ufffd") ? value : text;
}

/** Not `Buffer` alone, which takes anything for base64. */
function bytesIn(message: JsonObject, what: string): Uint8Array | undefined {
  const data = textIn(message, "data", what);
  if (!data) return undefined;
  if (data.length % 4 !== 0 || !base64.test(data)) throw invalidData(`the data of ${what} is not base64`);
  return new Uint8Array(Buffer.from(data, "base64"));
}

function attemptIn(envelope: JsonObject, what: string): number | undefined {
  const attempt = envelope["deliveryAttempt"];
  if (attempt === undefined || attempt === null) return undefined;
  if (typeof attempt !== "number" || !Number.isSafeInteger(attempt) || attempt < 1)
    throw invalidData(`the deliveryAttempt of ${what} is not a whole number from 1`);
  return attempt;
}
