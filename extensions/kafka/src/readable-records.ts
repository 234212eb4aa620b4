import type { Consumer, KafkaRecord, RecordsBatch } from "@platformatic/kafka";

import type { LogRecord } from "./partition.ts";

/** What a broker answers for one partition. */
export type PartitionAnswer = Awaited<ReturnType<Consumer["fetch"]>>["responses"][number]["partitions"][number];

const transactional = 0b1_0000;
const control = 0b10_0000;

/**
 * The records of an answer that are to be seen, and the offset to go on from.
 *
 * The client leaves out aborted records itself, but not those of a transaction whose end is in a later answer, and of several aborted transactions of a
 * producer only the last: so it is done here, as the protocol says.
 */
export function readableRecords(
  { records: batches, abortedTransactions }: Pick<PartitionAnswer, "records" | "abortedTransactions">,
  from: bigint,
  isolation: "committed" | "uncommitted",
): { readonly records: readonly LogRecord[]; readonly next: bigint } {
  const records: LogRecord[] = [];
  const isAborted = isolation === "committed" ? abortedBatches(abortedTransactions ?? []) : () => false;
  let next = from;
  for (const batch of batches ?? []) {
    const end = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
    if (end > next) next = end;
    if (isAborted(batch) || (batch.attributes & control) !== 0) continue;
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      if (offset >= from) records.push(asLogRecord(batch, record, offset));
    }
  }
  return { records, next };
}

/** Tells of each batch, given in the order of the log, whether its transaction was aborted. */
function abortedBatches(
  transactions: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[],
): (batch: RecordsBatch) => boolean {
  const begun = transactions.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  const aborted = new Set<bigint>();
  return (batch) => {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (let [first] = begun; first !== undefined && first.firstOffset <= last; [first] = begun) {
      aborted.add(first.producerId);
      begun.shift();
    }
    if ((batch.attributes & transactional) === 0) return false;
    if ((batch.attributes & control) === 0) return aborted.has(batch.producerId);
    // Whichever end it is, what follows is another transaction.
    aborted.delete(batch.producerId);
    return true;
  };
}

function asLogRecord({ firstTimestamp }: RecordsBatch, { timestampDelta, key, value, headers }: KafkaRecord, offset: bigint): LogRecord {
  return { offset, timestamp: Number(firstTimestamp + timestampDelta), key, value, headers };
}
