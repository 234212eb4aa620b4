import type { Binding, HeaderValue, ReadRecord, WrittenRecord } from "@event-driver/cloudevents/bindings";
import type { AsyncMessage, Envelope } from "rabbitmq-client";

import { EventDriverError, type Message, quote } from "event-driver";
import { partitionOf } from "event-driver/streams";
import { randomUUID } from "node:crypto";

import { plainEncoding } from "./link.ts";

/** What goes to the broker. */
export interface OutgoingRecord {
  readonly envelope: Envelope;
  readonly body: Buffer;
}

/** Headers of our own, which come with a message that has waited at the broker. */
const attemptsHeader = "event-driver-attempts";
const keyHeader = "event-driver-routing-key";

/** Bytes that the properties of a message may have: what is sent in one frame, and the broker's own limit for that. */
export const frameMax = 131_072;
const roomForOthers = 2_048;
/** Bytes of a header beside its name and value. */
const perHeader = 6;

/** Bytes that AMQP allows for a routing key and a content type. */
const shortText = 255;

/** Where the broker finds further routing keys. */
const slotHeader = "CC";
const slotPrefix = "~slot~";

/** Into how many slots keys are divided: a number that many others divide, so that partitions get equal numbers of slots. */
export const slots = 120;

/** Longer times than this the broker refuses. */
const longestExpiry = 2 ** 32 - 1;

export interface RecordOptions {
  /** As no other record has it: the broker has no positions, so each brings its own. */
  readonly position: string;
  /** Milliseconds after which the broker may remove it. */
  readonly expiresAfter: number | undefined;
}

/** @throws EventDriverError `ERR_INVALID_MESSAGE`, `ERR_TOO_LARGE` */
export function recordOf(message: Message, binding: Binding, { position, expiresAfter }: RecordOptions): OutgoingRecord {
  const { headers, contentType, key, body } = binding.write(message);
  requireFits(headers, message.id);
  const envelope: Envelope = {
    headers: headerFields(headers, partitionOf(key, slots)),
    routingKey: routingKeyOf(key),
    messageId: position,
    durable: true,
  };
  if (contentType !== undefined) envelope.contentType = contentType;
  const expiration = expiresAfter === undefined ? Infinity : Math.ceil(expiresAfter);
  if (expiration <= longestExpiry) envelope.expiration = String(expiration);
  return { envelope, body: asBuffer(body) };
}

/** Positions for the records of one connection: one random part and a count are as unique as a random name for each, at a tenth of the cost. */
export function positions(): () => string {
  const start = randomUUID();
  let count = 0;
  return () => `${start}/${(count += 1)}`;
}

function headerFields(headers: WrittenRecord["headers"], slot: number): Record<string, string | readonly string[]> {
  const fields: Record<string, string | readonly string[]> = {};
  for (const [name, value] of headers) fields[name] = value;
  fields[slotHeader] = slotKeys[slot] ?? [];
  return fields;
}

/** What a record of a slot is routed by, besides its key. */
export function slotKey(slot: number): string {
  return `${slotPrefix}${slot}`;
}

/** What the header of each slot holds. */
const slotKeys: readonly (readonly string[])[] = Array.from({ length: slots }, (_, slot) => [slotKey(slot)]);

/** The message's key, unless it is too long, or would be taken for a slot. It is in the headers, too. */
function routingKeyOf(key: string): string {
  return Buffer.byteLength(key) > shortText || key.startsWith(slotPrefix) ? "" : key;
}

/** A character has three bytes at most, so counting bytes is seldom needed. */
function requireFits(headers: WrittenRecord["headers"], id: string): void {
  const room = frameMax - roomForOthers;
  let [characters, bytes] = [0, 0];
  for (const [name, value] of headers) characters += name.length + value.length + perHeader;
  if (3 * characters <= room) return;
  for (const [name, value] of headers) bytes += name.length + Buffer.byteLength(value) + perHeader;
  if (bytes > room) throw tooLarge(id, bytes);
}

/** The position is the same each time the record comes, where its producer has named it. */
export function positionOf({ messageId, consumerTag, deliveryTag }: AsyncMessage): string {
  return messageId || `${consumerTag}/${deliveryTag}`;
}

export function readRecord(inbound: AsyncMessage, stream: string, binding: Binding): ReadRecord {
  const { [attemptsHeader]: _, [keyHeader]: waited, [slotHeader]: __, ...headers } = headersOf(inbound);
  return binding.read(
    {
      headers: Object.entries(headers).filter(isHeader),
      contentType: inbound.contentType,
      key: typeof waited === "string" ? waited : inbound.routingKey,
      body: bodyOf(inbound),
    },
    { stream, position: positionOf(inbound) },
  );
}

/** 1 for the first delivery. The broker counts those of one stay in the queue, and the record itself those before. */
export function attemptOf(inbound: AsyncMessage): number {
  const headers = headersOf(inbound);
  const atBroker = Math.max(countOf(headers["x-delivery-count"]), countOf(headers["x-acquired-count"]), inbound.redelivered ? 1 : 0);
  return 1 + atBroker + countOf(headers[attemptsHeader]);
}

/** The record as it waits at the broker: as it came, with what the broker would forget of it. */
export function waitingRecord(inbound: AsyncMessage, waitQueue: string): OutgoingRecord {
  const { [keyHeader]: waited, [slotHeader]: _, ...headers } = headersOf(inbound);
  const { contentType, contentEncoding, correlationId, priority, replyTo, timestamp, type, userId, appId } = inbound;
  // Without its expiration, which would end the wait too soon.
  const properties = { contentType, correlationId, priority, replyTo, timestamp, type, userId, appId };
  return {
    envelope: {
      ...Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)),
      ...(contentEncoding !== plainEncoding && contentEncoding !== undefined && { contentEncoding }),
      headers: {
        ...Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith("x-"))),
        [attemptsHeader]: attemptOf(inbound),
        [keyHeader]: waited ?? inbound.routingKey,
      },
      messageId: positionOf(inbound),
      routingKey: waitQueue,
      durable: true,
    },
    body: bodyOf(inbound),
  };
}

function headersOf({ headers }: AsyncMessage): Readonly<Record<string, unknown>> {
  return headers ?? {};
}

function isHeader(entry: [string, unknown]): entry is [string, HeaderValue] {
  const [, value] = entry;
  return ["string", "number", "bigint", "boolean"].includes(typeof value) || value === null || value instanceof Uint8Array;
}

function bodyOf({ body }: AsyncMessage): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(String(body));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function countOf(value: unknown): number {
  return typeof value === "number" && value > 0 ? value : 0;
}

function tooLarge(id: string, size: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `message ${quote(id)} has attributes of ${size} bytes, more than fit into one AMQP frame of ${frameMax}; shorten them, or put them into the content`,
    retryable: false,
  });
}
