import { invalidOption } from "event-driver";

/** Where a message is: numbers of Pulsar's storage, which only grow within a topic. */
export interface MessageId {
  readonly ledger: string;
  readonly entry: string;
  /** `undefined` in a topic without partitions. */
  readonly partition: number | undefined;
  /** `undefined` unless a producer has put several messages into one entry. */
  readonly batch: number | undefined;
}

const field = { ledger: 1, entry: 2, partition: 3, batch: 4 };

/**
 * Reads a message id as the WebSocket API writes it: Pulsar's protobuf message `MessageIdData`, in base64.
 *
 * Fields that are not needed, as later versions may add them, are skipped.
 */
export function readMessageId(base64: string): MessageId {
  const numbers = new Map<number, bigint>();
  const bytes = Buffer.from(base64, "base64");
  for (let at = 0; at < bytes.length;) {
    const tag = readVarint(bytes, at);
    const [wireType, number] = [Number(tag.value & 7n), Number(tag.value >> 3n)];
    // Other types come only behind the four numbers.
    if (wireType !== 0) break;
    const read = readVarint(bytes, tag.end);
    numbers.set(number, BigInt.asIntN(64, read.value));
    at = read.end;
  }
  return {
    ledger: String(numbers.get(field.ledger) ?? 0n),
    entry: String(numbers.get(field.entry) ?? 0n),
    partition: countOf(numbers.get(field.partition)),
    batch: countOf(numbers.get(field.batch)),
  };
}

/** `ledger:entry`, and where there are such `:partition:batch`, either of which may be empty. */
export function positionOf({ ledger, entry, partition, batch }: MessageId): string {
  const position = `${ledger}:${entry}`;
  return partition === undefined && batch === undefined ? position : `${position}:${partition ?? ""}:${batch ?? ""}`;
}

/**
 * The JSON that the administration takes for a position. Not by `JSON.stringify`: a ledger may have more digits than a number.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function cursorJson(position: string): string {
  const match = /^(\d{1,19}):(\d{1,19})(?::(\d{0,9}):(\d{0,9}))?$/.exec(position);
  if (match === null) throw invalidOption("subscribe", "backfill.position", position, "the position of a delivery of this stream");
  const [, ledger, entry, partition, batch] = match;
  const numbers = [ledger, entry, partition || "-1", batch || "-1"].map((digits = "0") => String(BigInt(digits)));
  return `{"ledgerId":${numbers[0]},"entryId":${numbers[1]},"partitionIndex":${numbers[2]},"batchIndex":${numbers[3]}}`;
}

/** Pulsar writes -1 for what is not there. */
function countOf(value: bigint | undefined): number | undefined {
  return value === undefined || value < 0n ? undefined : Number(value);
}

function readVarint(bytes: Uint8Array, start: number): { readonly value: bigint; readonly end: number } {
  let value = 0n;
  let at = start;
  for (let shift = 0n; at < bytes.length && shift < 70n; shift += 7n) {
    const byte = bytes[at] ?? 0;
    at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return { value, end: at };
}
