import { createRecordsBatch, NumericMap } from "@platformatic/kafka";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { OutgoingRecord } from "../src/outgoing-record.ts";

import { encodeBatch } from "../src/batch-encoder.ts";
import { type LogRecord, type RecordParts, TextMemory } from "../src/log-record.ts";
import { sizeOfRecord } from "../src/outgoing-record.ts";
import { recordBatches, recordsOf } from "../src/record-batches.ts";

const identity = { producerId: 4_711n, producerEpoch: 3 };
const now = 1_767_225_600_000;

const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each));
const text = fc.string({ unit: fc.constantFrom("a", "Z", "-", "\u007f", "é", "日", "🙂"), maxLength: 100 });
const record: fc.Arbitrary<OutgoingRecord> = fc.record({
  key: fc.oneof(bytes, text, fc.constant(null)),
  value: fc.oneof(
    bytes,
    fc.integer({ min: 60, max: 20_000 }).map((length) => Buffer.alloc(length, 7)),
  ),
  headers: fc.array(fc.tuple(text, fc.oneof(text, bytes)), { maxLength: 70 }),
});

test("a batch has the bytes that the client gives it, whatever its records are", async () => {
  const records = fc.array(record, { minLength: 1, maxLength: 70 });
  await fc.assert(
    fc.asyncProperty(records, fc.integer({ min: 0, max: 0x7fff_ffff }), async (given, firstSequence) => {
      const encoded = await encodeBatch({ records: sized(given), identity, firstSequence }, "none", now);

      expect(encoded.equals(byClient(given, firstSequence))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test.each(["gzip", "snappy", "lz4", "zstd"] as const)("a batch compressed with %s is read as it was", async (compression) => {
  const given = Array.from({ length: 50 }, (_, index): OutgoingRecord => ({
    key: Buffer.from(`order-${index}`),
    value: Buffer.alloc(100, index),
    headers: [["ce_id", `é ${index}`]],
  }));

  const encoded = await encodeBatch({ records: sized(given), identity, firstSequence: 0 }, compression, now);

  expect(encoded.length).toBeLessThan(50 * 100);
  expect(partsIn(encoded).map(({ value }) => Buffer.from(value ?? []))).toEqual(given.map(({ value }) => value));
});

test("what is null stays null", async () => {
  const encoded = await encodeBatch(
    { records: sized([{ key: null, value: null, headers: [["note", null]] }]), identity, firstSequence: 0 },
    "none",
    now,
  );

  expect(partsIn(encoded)).toEqual([{ key: null, value: null, headers: [["note", null]] }]);
});

function partsIn(encoded: Buffer): readonly RecordParts[] {
  const found: LogRecord[] = [];
  for (const batch of recordBatches(encoded)) recordsOf(batch, 0n, found);
  const texts = new TextMemory();
  return found.map((each) => each.read(texts));
}

function sized(records: readonly OutgoingRecord[]): Parameters<typeof encodeBatch>[0]["records"] {
  return records.map((each) => ({ record: each, size: sizeOfRecord(each) }));
}

function byClient(records: readonly OutgoingRecord[], firstSequence: number): Buffer {
  const messages = records.map(({ key, value, headers }) => ({
    topic: "orders",
    partition: 0,
    ...(key !== null && { key: Buffer.from(key) }),
    value: Buffer.from(value ?? []),
    headers: new Map(headers.map(([name, each]) => [Buffer.from(name), Buffer.from(each ?? "")])),
    timestamp: BigInt(now),
  }));
  const sequences = new NumericMap();
  sequences.set("orders:0", firstSequence);
  return createRecordsBatch(messages, { ...identity, sequences }).buffer;
}
