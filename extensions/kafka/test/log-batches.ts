import { crc32c, createRecordsBatch } from "@platformatic/kafka";

export interface LogBatch {
  readonly firstOffset: bigint;
  readonly records: readonly LogEntry[];
  /** Bits of the batch, beside those of its compression. */
  readonly attributes?: number;
  readonly producerId?: bigint;
  readonly compression?: "none" | "gzip" | "snappy" | "lz4" | "zstd";
}

export interface LogEntry {
  readonly key?: Buffer;
  readonly value?: Buffer;
  readonly headers?: readonly (readonly [Buffer, Buffer])[];
  /** Epoch milliseconds. */
  readonly timestamp?: number;
}

/** Of an entry that has no other, in epoch milliseconds. */
export const usualTime = 1_767_225_600_000;

/** Batches as a broker has them in its log. */
export function logOf(...batches: readonly LogBatch[]): Buffer {
  return Buffer.concat(batches.map(bytesOf));
}

/** The client writes what it sends; the broker sets what is its own. */
function bytesOf({ firstOffset, records, attributes = 0, producerId = -1n, compression = "none" }: LogBatch): Buffer {
  const messages = records.map(({ key, value = Buffer.alloc(0), headers = [], timestamp = usualTime }) => ({
    topic: "orders",
    ...(key !== undefined && { key }),
    value,
    headers: new Map(headers),
    timestamp: BigInt(timestamp),
  }));
  const bytes = Buffer.from(createRecordsBatch(messages, { compression, producerId }).buffer);
  bytes.writeBigInt64BE(firstOffset, 0);
  bytes.writeInt16BE(bytes.readInt16BE(21) | attributes, 21);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}
