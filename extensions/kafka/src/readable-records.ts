import type { AbortedTransaction, PartitionAnswer } from "./fetch-api.ts";
import type { LogRecord } from "./log-record.ts";

import { type RecordBatch, recordBatches, recordsOf } from "./record-batches.ts";

/**
 * The records of an answer that are to be seen, and the offset to go on from.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED`, `ERR_CONNECTION_FAILED`; the client's error for a compression that it does not know
 */
export function readableRecords(
  { records: bytes, abortedTransactions }: Pick<PartitionAnswer, "records" | "abortedTransactions">,
  from: bigint,
  isolation: "committed" | "uncommitted",
): { readonly records: readonly LogRecord[]; readonly next: bigint } {
  const records: LogRecord[] = [];
  const isAborted = isolation === "committed" ? abortedBatches(abortedTransactions) : () => false;
  let next = from;
  for (const batch of bytes === null ? [] : recordBatches(bytes)) {
    if (batch.lastOffset >= next) next = batch.lastOffset + 1n;
    if (isAborted(batch) || batch.isControl) continue;
    recordsOf(batch, from, records);
  }
  return { records, next };
}

/** Tells of each batch, given in the order of the log, whether its transaction was aborted. */
function abortedBatches(transactions: readonly AbortedTransaction[]): (batch: RecordBatch) => boolean {
  const begun = transactions.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  const aborted = new Set<bigint>();
  return ({ lastOffset, isTransactional, isControl, producerId }) => {
    for (let [first] = begun; first !== undefined && first.firstOffset <= lastOffset; [first] = begun) {
      aborted.add(first.producerId);
      begun.shift();
    }
    if (!isTransactional) return false;
    if (!isControl) return aborted.has(producerId);
    // Whichever end it is, what follows is another transaction.
    aborted.delete(producerId);
    return true;
  };
}
