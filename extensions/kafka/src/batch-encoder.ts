import { compressionsAlgorithms, type CompressionAlgorithmValue } from "@platformatic/kafka";

import { places, uncounted } from "./batch-layout.ts";
import { BytesWriter, sizeOfNumber } from "./bytes-writer.ts";
import { checksumOf } from "./checksum.ts";
import { type OutgoingRecord, writeRecord } from "./outgoing-record.ts";

/** Who writes, as the brokers know it. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** A record, and what `sizeOfRecord` says of it. */
export interface SizedRecord {
  readonly record: OutgoingRecord;
  readonly size: number;
}

export interface BatchToEncode {
  readonly records: readonly SizedRecord[];
  readonly identity: ProducerIdentity;
  /** How many records the identity has written to the partition before. */
  readonly firstSequence: number;
}

/** Attributes and the difference to the first time of the batch. */
const fixedSize = 2;

/** How many bytes a batch has for each record beside what that says, at most. */
export const mostBesideRecord: number = 2 * sizeOfNumber(0x3fff_ffff) + fixedSize;

/**
 * A batch of records in message format 2, all of one time.
 *
 * The client would make several objects of each record and each header, of which nothing is needed any more when they are in the batch.
 *
 * @throws the client's error for a compression that this Node does not have
 */
export async function encodeBatch(batch: BatchToEncode, compression: CompressionAlgorithmValue, now: number): Promise<Buffer> {
  const plain = encodeRecords(batch.records);
  if (compression === "none") return finish(plain, 0, batch, now);
  const algorithm: (typeof compressionsAlgorithms)[CompressionAlgorithmValue] = compressionsAlgorithms[compression];
  const records = plain.subarray(places.records);
  const compressed = "compress" in algorithm ? await algorithm.compress(records) : algorithm.compressSync(records);
  return finish(Buffer.concat([plain.subarray(0, places.records), compressed]), algorithm.bitmask, batch, now);
}

/** With room for what a batch begins with. */
function encodeRecords(records: readonly SizedRecord[]): Buffer {
  const lengths = records.map(({ size }, index) => fixedSize + sizeOfNumber(index) + size);
  const total = lengths.reduce((sum, length) => sum + sizeOfNumber(length) + length, places.records);
  const writer = new BytesWriter(Buffer.allocUnsafe(total), places.records);
  for (const [index, { record }] of records.entries()) {
    writer.number(lengths[index] ?? 0);
    writer.byte(0);
    writer.byte(0);
    writer.number(index);
    writeRecord(record, writer);
  }
  return writer.bytes;
}

function finish(bytes: Buffer, attributes: number, { records, identity, firstSequence }: BatchToEncode, now: number): Buffer {
  bytes.writeBigInt64BE(0n, places.firstOffset);
  bytes.writeInt32BE(bytes.length - uncounted, places.length);
  bytes.writeInt32BE(0, places.leaderEpoch);
  bytes.writeInt8(2, places.magic);
  bytes.writeInt16BE(attributes, places.attributes);
  bytes.writeInt32BE(records.length - 1, places.lastOffsetDelta);
  bytes.writeBigInt64BE(BigInt(now), places.firstTimestamp);
  bytes.writeBigInt64BE(BigInt(now), places.maxTimestamp);
  bytes.writeBigInt64BE(identity.producerId, places.producerId);
  bytes.writeInt16BE(identity.producerEpoch, places.producerEpoch);
  bytes.writeInt32BE(firstSequence, places.firstSequence);
  bytes.writeInt32BE(records.length, places.count);
  bytes.writeUInt32BE(checksumOf(bytes.subarray(places.attributes)), places.checksum);
  return bytes;
}
