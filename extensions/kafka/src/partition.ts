import { type Handover, LinkedList, type Listed } from "event-driver/streams";

import { type LogRecord, TextMemory } from "./log-record.ts";
import { OffsetTracker } from "./offset-tracker.ts";

/** A record that is not done, and how often it was delivered. */
export interface Entry {
  readonly record: LogRecord;
  attempts: number;
}

/** A delivery, and whom to tell when it is lost. */
export interface Flight extends Listed<Flight> {
  readonly handover: Handover | undefined;
}

export interface PartitionOptions {
  readonly topic: string;
  readonly index: number;
  /** The first offset to fetch. */
  readonly start: bigint;
}

/** One partition as long as it is ours: what was fetched of it, what is to be delivered again, and what is done. */
export class Partition {
  readonly topic: string;
  readonly index: number;
  readonly tracker: OffsetTracker;
  /** What its records said last. */
  readonly texts: TextMemory = new TextMemory();
  /** The offset to fetch from. */
  next: bigint;
  /** What the broker knows of what is done. */
  committed: bigint;
  /** The offset behind the last record there is, as far as it is known. */
  end: bigint;
  /** The node that it was fetched from last. */
  node: number | undefined;
  /** A replica that its leader has sent us to, as one that is nearer. */
  preferredReplica: number | undefined;
  /** How many were delivered and are not done with. */
  unsettled: number = 0;
  /** What was delivered and waits for a word on it. */
  readonly flights: LinkedList<Flight> = new LinkedList();
  readonly #lost = new AbortController();
  /** Fetched and not delivered yet: from `#first` on. */
  #fetched: LogRecord[] = [];
  #first = 0;
  /** To be delivered again, in the order of their offsets. */
  readonly #again: Entry[] = [];
  #isLeaving = false;

  constructor({ topic, index, start }: PartitionOptions) {
    this.topic = topic;
    this.index = index;
    this.next = start;
    this.committed = start;
    this.end = start;
    this.tracker = new OffsetTracker(start);
  }

  /** Aborts when the partition is no longer ours. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get isLost(): boolean {
    return this.#lost.signal.aborted;
  }

  /** Whether it can be fetched and delivered from. */
  get isOpen(): boolean {
    return !this.#isLeaving && !this.isLost;
  }

  /** How many records were fetched and not delivered. */
  get waiting(): number {
    return this.#fetched.length - this.#first;
  }

  /** The position that can be committed, where that is news to the broker. */
  get news(): bigint | undefined {
    const { position } = this.tracker;
    return position > this.committed && !this.isLost ? position : undefined;
  }

  append(records: readonly LogRecord[], next: bigint): void {
    this.#fetched = this.waiting === 0 ? [...records] : [...this.#fetched.slice(this.#first), ...records];
    this.#first = 0;
    this.next = next;
    if (this.waiting === 0) this.tracker.skipTo(next);
  }

  /** What is to be delivered next, left where it is. */
  peek(): LogRecord | undefined {
    return this.#again[0]?.record ?? this.#fetched[this.#first];
  }

  /** Takes what is to be delivered next. */
  take(): Entry | undefined {
    const again = this.#again.shift();
    if (again !== undefined) return again;
    const record = this.#fetched[this.#first];
    if (record === undefined) return undefined;
    this.#first += 1;
    this.tracker.begin(record.offset);
    if (this.waiting === 0) this.tracker.skipTo(this.next);
    return { record, attempts: 0 };
  }

  /** It is to be delivered again, before all that follows it. */
  putBack(entry: Entry): void {
    const behind = this.#again.findIndex(({ record }) => record.offset > entry.record.offset);
    this.#again.splice(behind === -1 ? this.#again.length : behind, 0, entry);
  }

  /** Nothing more is delivered of it, but what was can still be done with. */
  leave(): void {
    this.#isLeaving = true;
  }

  lose(reason: Error): void {
    this.#lost.abort(reason);
    for (const { handover } of this.flights.clear()) handover?.revoke(reason);
  }
}
