import type { MessageToProduce } from "@platformatic/kafka";

import { type BytesWriter, sizeOfField, sizeOfNumber } from "./bytes-writer.ts";

/** A record on its way to a topic. */
export interface OutgoingRecord {
  readonly key: string | Uint8Array | null;
  /** `null` for a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: string | Uint8Array | null])[];
}

/** How many bytes the record takes in a batch, but for its place in it. */
export function sizeOfRecord({ key, value, headers }: OutgoingRecord): number {
  let size = sizeOfField(key) + sizeOfField(value) + sizeOfNumber(headers.length);
  for (const [name, text] of headers) size += sizeOfField(name) + sizeOfField(text);
  return size;
}

export function writeRecord({ key, value, headers }: OutgoingRecord, writer: BytesWriter): void {
  writer.field(key);
  writer.field(value);
  writer.number(headers.length);
  for (const [name, text] of headers) {
    writer.field(name);
    writer.field(text);
  }
}

/** A record as the client takes it. */
export function toProduce(topic: string, { key, value, headers }: OutgoingRecord): MessageToProduce {
  return {
    topic,
    headers: new Map(headers.map(([name, text]) => [Buffer.from(name), bytesOf(text ?? "")])),
    ...(key !== null && { key: bytesOf(key) }),
    ...(value !== null && { value: bytesOf(value) }),
  };
}

function bytesOf(part: string | Uint8Array): Buffer {
  return typeof part === "string" ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
}
