import { expect, test } from "vitest";

import type { AbortedTransaction } from "../src/fetch-api.ts";

import { readableRecords } from "../src/readable-records.ts";
import { type LogBatch, logOf } from "./log-batches.ts";

const transactional = 16;
const control = 32;

test("the records of plain batches come with their offsets, and those before the one asked for are left out", () => {
  const { records, next } = readableRecords({ records: logOf(batch(4n, 3), batch(10n, 2)), abortedTransactions: [] }, 5n, "committed");

  expect(records.map(({ offset }) => offset)).toEqual([5n, 6n, 10n, 11n]);
  expect(next).toBe(12n);
});

test("no batches leave everything as it is", () => {
  expect(readableRecords({ records: null, abortedTransactions: [] }, 5n, "committed")).toEqual({ records: [], next: 5n });
});

test("a batch that is cut off is left for the next time, wherever it is cut", () => {
  const whole = logOf(batch(0n, 2));
  const bytes = logOf(batch(0n, 2), batch(2n, 2));

  const ends = Array.from({ length: bytes.length - whole.length }, (_, cut) =>
    readableRecords({ records: bytes.subarray(0, whole.length + cut), abortedTransactions: [] }, 0n, "committed"),
  );

  expect(new Set(ends.map(({ records, next }) => `${records.length} ${next}`))).toEqual(new Set(["2 2"]));
});

test("of an aborted transaction nothing is seen, up to its end, and what the same producer writes behind that is", () => {
  const log = [inTransaction(0n, 2, 7n), end(2n, 7n), inTransaction(3n, 1, 7n), end(4n, 7n)];

  expect(offsetsOf(log, [{ producerId: 7n, firstOffset: 0n }])).toEqual([3n]);
});

test("of several aborted transactions of one producer none is seen", () => {
  const log = [inTransaction(0n, 1, 7n), end(1n, 7n), inTransaction(2n, 1, 7n), end(3n, 7n), inTransaction(4n, 1, 7n)];
  const aborted = [
    { producerId: 7n, firstOffset: 2n },
    { producerId: 7n, firstOffset: 0n },
  ];

  expect(offsetsOf(log, aborted)).toEqual([4n]);
});

test("an aborted transaction whose end is not in the answer is not seen either", () => {
  const log = [inTransaction(0n, 1, 7n), inTransaction(1n, 1, 8n), batch(2n, 1)];

  expect(offsetsOf(log, [{ producerId: 7n, firstOffset: 0n }])).toEqual([1n, 2n]);
});

test("one that began before the answer hides what it has in it", () => {
  const log = [inTransaction(10n, 2, 7n), end(12n, 7n)];

  expect(offsetsOf(log, [{ producerId: 7n, firstOffset: 3n }], 10n)).toEqual([]);
});

test("uncommitted reading sees all but the marks", () => {
  const log = logOf(inTransaction(0n, 2, 7n), end(2n, 7n));

  const read = readableRecords({ records: log, abortedTransactions: [{ producerId: 7n, firstOffset: 0n }] }, 0n, "uncommitted");

  expect(read.records.map(({ offset }) => offset)).toEqual([0n, 1n]);
  expect(read.next).toBe(3n);
});

function offsetsOf(log: readonly LogBatch[], abortedTransactions: readonly AbortedTransaction[], from: bigint = 0n): readonly bigint[] {
  return readableRecords({ records: logOf(...log), abortedTransactions }, from, "committed").records.map(({ offset }) => offset);
}

function inTransaction(firstOffset: bigint, count: number, producerId: bigint): LogBatch {
  return { ...batch(firstOffset, count), attributes: transactional, producerId };
}

/** The mark that ends a transaction, whichever way. */
function end(firstOffset: bigint, producerId: bigint): LogBatch {
  return { ...batch(firstOffset, 1), attributes: transactional | control, producerId };
}

function batch(firstOffset: bigint, count: number): LogBatch {
  return { firstOffset, records: Array.from({ length: count }, () => ({})) };
}
