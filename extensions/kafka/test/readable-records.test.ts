import { expect, test } from "vitest";

import { type PartitionAnswer, readableRecords } from "../src/readable-records.ts";

type Batch = NonNullable<PartitionAnswer["records"]>[number];

const transactional = 16;
const control = 32;

test("the records of plain batches come with their offsets, and those before the one asked for are left out", () => {
  const { records, next } = readableRecords({ records: [batch(4n, 3), batch(10n, 2)], abortedTransactions: [] }, 5n, "committed");

  expect(records.map(({ offset }) => offset)).toEqual([5n, 6n, 10n, 11n]);
  expect(next).toBe(12n);
});

test("no batches leave everything as it is", () => {
  expect(readableRecords({ records: null, abortedTransactions: null }, 5n, "committed")).toEqual({ records: [], next: 5n });
});

test("of an aborted transaction nothing is seen, up to its end, and what the same producer writes behind that is", () => {
  const records = [inTransaction(0n, 2, 7n), end(2n, 7n), inTransaction(3n, 1, 7n), end(4n, 7n)];

  expect(offsetsOf({ records, abortedTransactions: [{ producerId: 7n, firstOffset: 0n }] })).toEqual([3n]);
});

test("of several aborted transactions of one producer none is seen", () => {
  const records = [inTransaction(0n, 1, 7n), end(1n, 7n), inTransaction(2n, 1, 7n), end(3n, 7n), inTransaction(4n, 1, 7n)];
  const abortedTransactions = [
    { producerId: 7n, firstOffset: 2n },
    { producerId: 7n, firstOffset: 0n },
  ];

  expect(offsetsOf({ records, abortedTransactions })).toEqual([4n]);
});

test("an aborted transaction whose end is not in the answer is not seen either", () => {
  const records = [inTransaction(0n, 1, 7n), inTransaction(1n, 1, 8n), batch(2n, 1)];

  expect(offsetsOf({ records, abortedTransactions: [{ producerId: 7n, firstOffset: 0n }] })).toEqual([1n, 2n]);
});

test("one that began before the answer hides what it has in it", () => {
  const records = [inTransaction(10n, 2, 7n), end(12n, 7n)];

  expect(offsetsOf({ records, abortedTransactions: [{ producerId: 7n, firstOffset: 3n }] }, 10n)).toEqual([]);
});

test("uncommitted reading sees all but the marks", () => {
  const records = [inTransaction(0n, 2, 7n), end(2n, 7n)];

  const read = readableRecords({ records, abortedTransactions: [{ producerId: 7n, firstOffset: 0n }] }, 0n, "uncommitted");

  expect(read.records.map(({ offset }) => offset)).toEqual([0n, 1n]);
  expect(read.next).toBe(3n);
});

function offsetsOf(answer: Pick<PartitionAnswer, "records" | "abortedTransactions">, from: bigint = 0n): readonly bigint[] {
  return readableRecords(answer, from, "committed").records.map(({ offset }) => offset);
}

function inTransaction(firstOffset: bigint, count: number, producerId: bigint): Batch {
  return { ...batch(firstOffset, count), attributes: transactional, producerId };
}

/** The mark that ends a transaction, whichever way. */
function end(offset: bigint, producerId: bigint): Batch {
  return { ...batch(offset, 1), attributes: transactional | control, producerId };
}

function batch(firstOffset: bigint, count: number): Batch {
  return {
    firstOffset,
    length: 0,
    partitionLeaderEpoch: 0,
    magic: 2,
    crc: 0,
    attributes: 0,
    lastOffsetDelta: count - 1,
    firstTimestamp: 1_000n,
    maxTimestamp: 1_000n,
    producerId: -1n,
    producerEpoch: -1,
    firstSequence: -1,
    records: Array.from({ length: count }, (_, offsetDelta) => ({
      length: 0,
      attributes: 0,
      timestampDelta: 5n,
      offsetDelta,
      key: null,
      value: null,
      headers: [],
    })),
  };
}
