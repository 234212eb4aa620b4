import type { Answer, EncodedRow } from "./row-writer.ts";
import type { SinkSettings } from "./sink-settings.ts";

import { deliverRows, type PendingRow } from "./deliver-rows.ts";
import { abandonedRow, failedRow, fullBuffer, refusedRow, type TableName, tooLargeRow } from "./failures.ts";
import { largestBatch } from "./sink-settings.ts";

interface QueuedRow<Row extends EncodedRow> extends PendingRow<Row> {
  readonly id: string;
  /** Settles with the row's outcome. */
  readonly outcome: Promise<void>;
  readonly reject: (reason: unknown) => void;
  /** Epoch milliseconds from which it waits for no others to be sent with it. */
  dueAt: number;
}

/**
 * Gathers rows into batches, keeps a limited number of batches on their way, and holds no more than the buffer allows. Rows leave in the order they came.
 */
export class RowQueue<Row extends EncodedRow> {
  readonly #settings: SinkSettings;
  readonly #target: TableName;
  readonly #append: (rows: readonly Row[]) => Promise<Answer>;
  readonly #waiting = new Set<QueuedRow<Row>>();
  readonly #sent = new Set<QueuedRow<Row>>();
  readonly #abandoned = new AbortController();
  #waitingBytes = 0;
  #sentBytes = 0;
  #inFlight = 0;
  #stopTimer: () => void = () => {};

  constructor(settings: SinkSettings, target: TableName, append: (rows: readonly Row[]) => Promise<Answer>) {
    this.#settings = settings;
    this.#target = target;
    this.#append = append;
  }

  /** Rows without an outcome. */
  get size(): number {
    return this.#waiting.size + this.#sent.size;
  }

  /**
   * Resolves when the row is stored. When the signal aborts it rejects at once, and the row is taken out unless it has been sent.
   *
   * @throws EventDriverError `ERR_ROW_REFUSED`, `ERR_TOO_LARGE`, `ERR_OVERLOADED`, `ERR_SINK_FAILED`, `ERR_SINK_CLOSED`
   */
  async add(id: string, row: Row, signal: AbortSignal): Promise<void> {
    const { batch, buffer, clock } = this.#settings;
    const largest = Math.min(largestBatch, buffer.bytes);
    if (row.bytes > largest) throw tooLargeRow(id, this.#target, row.bytes, largest);
    if (this.size >= buffer.rows || this.#waitingBytes + this.#sentBytes + row.bytes > buffer.bytes) throw fullBuffer(id, this.#target);
    if (this.#abandoned.signal.aborted) throw abandonedRow(id, this.#target);
    signal.throwIfAborted();
    const queued = this.#queue(id, row, clock.now() + batch.wait);
    const onAbort = (): void => this.#giveUp(queued, signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#sendDue();
    try {
      await queued.outcome;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Sends what waits, and resolves when every row that is here now has its outcome. */
  async flush(): Promise<void> {
    const rows = [...this.#waiting, ...this.#sent];
    for (const row of this.#waiting) row.dueAt = -Infinity;
    this.#sendDue();
    await Promise.allSettled(rows.map((row) => row.outcome));
  }

  /** Fails every row that has no outcome, and sends nothing any more. */
  abandon(): void {
    this.#stopTimer();
    this.#abandoned.abort();
    for (const row of [...this.#waiting, ...this.#sent]) row.reject(abandonedRow(row.id, this.#target));
    this.#waiting.clear();
    this.#waitingBytes = 0;
  }

  #queue(id: string, row: Row, dueAt: number): QueuedRow<Row> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queued: QueuedRow<Row> = {
      id,
      row,
      dueAt,
      outcome: promise,
      reject,
      stored: resolve,
      refused: (problem) => reject(refusedRow(id, this.#target, problem)),
      failed: (problem, attempts, cause) => reject(failedRow(id, this.#target, problem, attempts, cause)),
    };
    this.#waiting.add(queued);
    this.#waitingBytes += row.bytes;
    return queued;
  }

  #giveUp(queued: QueuedRow<Row>, reason: unknown): void {
    if (this.#waiting.delete(queued)) this.#waitingBytes -= queued.row.bytes;
    queued.reject(reason);
  }

  /** Sends every batch that is full or due, as far as requests may be on their way, and comes back when the next one is due. */
  #sendDue(): void {
    const { batch, maxInFlight, clock } = this.#settings;
    this.#stopTimer();
    for (;;) {
      const [oldest] = this.#waiting;
      if (oldest === undefined || this.#inFlight >= maxInFlight || this.#abandoned.signal.aborted) return;
      const full = this.#waiting.size >= batch.rows || this.#waitingBytes >= batch.bytes;
      const wait = oldest.dueAt - clock.now();
      if (!full && wait > 0) {
        this.#stopTimer = clock.after(wait, () => this.#sendDue());
        return;
      }
      void this.#send(this.#takeBatch());
    }
  }

  #takeBatch(): readonly QueuedRow<Row>[] {
    const { batch } = this.#settings;
    const taken: QueuedRow<Row>[] = [];
    let bytes = 0;
    for (const queued of this.#waiting) {
      const [first] = taken;
      bytes += queued.row.bytes;
      if (first !== undefined && (taken.length === batch.rows || bytes > batch.bytes || queued.row.shape !== first.row.shape)) break;
      taken.push(queued);
      this.#waiting.delete(queued);
      this.#sent.add(queued);
      this.#waitingBytes -= queued.row.bytes;
      this.#sentBytes += queued.row.bytes;
    }
    return taken;
  }

  async #send(rows: readonly QueuedRow<Row>[]): Promise<void> {
    const { retry, clock, random } = this.#settings;
    this.#inFlight += 1;
    await deliverRows(rows, { append: this.#append, retry, clock, random, signal: this.#abandoned.signal });
    this.#inFlight -= 1;
    for (const row of rows) {
      this.#sent.delete(row);
      this.#sentBytes -= row.row.bytes;
    }
    this.#sendDue();
  }
}
