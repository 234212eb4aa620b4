import { compressionsAlgorithmsByBitmask, UnsupportedCompressionError } from "@platformatic/kafka";
import { EventDriverError } from "event-driver";

import { bits, places, uncounted } from "./batch-layout.ts";
import { BytesReader } from "./bytes-reader.ts";
import { checksumOf } from "./checksum.ts";
import { LogRecord } from "./log-record.ts";

/** A batch of records as it stands in the log, in message format 2. */
export interface RecordBatch {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly isTransactional: boolean;
  /** Whether it marks the end of a transaction, and holds nothing that somebody has written. */
  readonly isControl: boolean;
  readonly producerId: bigint;
  /** All of it. */
  readonly bytes: Buffer;
}

/**
 * The batches of an answer. What is cut off at the end is left out, as it is asked for again.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED` for a message format of before Kafka 0.11, `ERR_CONNECTION_FAILED` for a batch that is damaged
 */
export function* recordBatches(bytes: Buffer): Generator<RecordBatch, undefined> {
  for (let start = 0; start + places.records <= bytes.length;) {
    const end = start + uncounted + bytes.readInt32BE(start + places.length);
    if (end > bytes.length) return;
    yield recordBatch(bytes.subarray(start, end));
    start = end;
  }
}

/**
 * Adds the records of a batch to `records`, from an offset on.
 *
 * @throws EventDriverError `ERR_CONNECTION_FAILED` for one that is damaged; the client's error for a compression that it does not know
 */
export function recordsOf({ firstOffset, bytes }: Pick<RecordBatch, "firstOffset" | "bytes">, from: bigint, records: LogRecord[]): void {
  const attributes = bytes.readInt16BE(places.attributes);
  const firstTimestamp = Number(bytes.readBigInt64BE(places.firstTimestamp));
  const appendedAt = (attributes & bits.appendTime) === 0 ? undefined : Number(bytes.readBigInt64BE(places.maxTimestamp));
  const content = contentOf(bytes, attributes & bits.compression);
  const reader = new BytesReader(content, 0, content.length);
  for (let left = bytes.readInt32BE(places.count); left > 0 && !reader.isAtEnd; left -= 1) {
    const length = reader.number();
    const end = reader.at + length;
    if (length < 0 || end > content.length) throw damaged(firstOffset);
    reader.skip(1);
    const timestamp = firstTimestamp + reader.number();
    const offset = firstOffset + BigInt(reader.number());
    if (offset >= from) records.push(new LogRecord({ offset, timestamp: appendedAt ?? timestamp, bytes: content, start: reader.at, end }));
    reader.at = end;
  }
}

function recordBatch(bytes: Buffer): RecordBatch {
  if (bytes[places.magic] !== 2) throw formatTooOld(bytes[places.magic]);
  const firstOffset = bytes.readBigInt64BE(places.firstOffset);
  if (bytes.readUInt32BE(places.checksum) !== checksumOf(bytes.subarray(places.attributes))) throw damaged(firstOffset);
  const attributes = bytes.readInt16BE(places.attributes);
  return {
    firstOffset,
    lastOffset: firstOffset + BigInt(bytes.readInt32BE(places.lastOffsetDelta)),
    isTransactional: (attributes & bits.transactional) !== 0,
    isControl: (attributes & bits.control) !== 0,
    producerId: bytes.readBigInt64BE(places.producerId),
    bytes,
  };
}

function contentOf(bytes: Buffer, compression: number): Buffer {
  const content = bytes.subarray(places.records);
  if (compression === 0) return content;
  const algorithm = compressionsAlgorithmsByBitmask[compression];
  if (algorithm === undefined) throw new UnsupportedCompressionError(`Unsupported compression algorithm with bitmask ${compression}`);
  return algorithm.decompressSync(content);
}

function formatTooOld(magic: number | undefined): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `a topic holds records in message format ${magic ?? "none"}, and only format 2 is read; have the cluster rewrite them, or begin behind them`,
    retryable: false,
  });
}

function damaged(firstOffset: bigint): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `the batch of records at offset ${firstOffset} came damaged; it is asked for again`,
    retryable: true,
  });
}
