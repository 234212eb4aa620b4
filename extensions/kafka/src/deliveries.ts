import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Clock, Message } from "event-driver";
import type { Sink } from "event-driver/streams";

import type { LogRecord } from "./log-record.ts";
import type { Entry, Partition } from "./partition.ts";

import { KafkaInbound, type Origin, type Settling } from "./kafka-inbound.ts";

export interface DeliveriesOptions {
  readonly stream: string;
  readonly sink: Sink;
  readonly binding: Binding;
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly retries: Retries | undefined;
  /** Called with each message before it is delivered. */
  readonly onMessage: ((message: Message) => void) | undefined;
  /** Called with what is done with; `finish` or `again` has to follow. */
  readonly onAck: (partition: Partition, entry: Entry, message: Message) => void;
  /** Of each partition so many records are to be there, while its log has some. */
  readonly refillBelow: number;
  /** Called when a partition has fewer than that. */
  readonly onRoom: () => void;
}

/** How records that failed wait in topics of their own. */
export interface Retries {
  /** What a record of a retry topic says; `undefined` for any other record. */
  noteOf(partition: Partition, record: LogRecord): RetryNote | undefined;
  /** Puts the record where it waits. Resolves to whether it is there now. */
  postpone(partition: Partition, entry: Entry, delay: number): Promise<boolean>;
}

/** What goes with a record in a retry topic. */
export interface RetryNote extends Origin {
  /** Whether it is of this stream and name. */
  readonly isOurs: boolean;
  /** Epoch milliseconds before which it is not to be delivered. */
  readonly dueAt: number;
}

/** As many of one partition are delivered before the next one has its turn. */
const turn = 16;

/** Hands over what was fetched, as much of it as may be unsettled at once. */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  #partitions: readonly Partition[] = [];
  /** Whose turn it is, and how many of it were delivered in this turn. */
  #place = 0;
  #turns = 0;
  /** How to stop waiting for the first record of a partition to be due. */
  readonly #waits = new Map<Partition, () => void>();
  #inFlight = 0;
  #isStopped = false;
  #isAwake = false;
  readonly #settling: Settling = {
    ack: ({ log, entry, message }) => this.#options.onAck(log, entry, message),
    release: ({ log, entry }, delay) => this.#release(log, entry, delay),
  };

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  add(partition: Partition): void {
    this.#partitions = [...this.#partitions, partition];
    partition.signal.addEventListener("abort", () => this.#drop(partition), { once: true });
  }

  /** Nothing more is delivered. */
  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#waits.values()) cancel();
    this.#waits.clear();
  }

  /** Delivers what can be, in the next turn of the event loop: all that is settled until then makes room at once, and answers can come in between. */
  pump(): void {
    if (this.#isAwake || this.#isStopped) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#pump();
    });
  }

  /** It is done. */
  finish(partition: Partition, entry: Entry): void {
    if (!this.#land(partition)) return;
    partition.tracker.finish(entry.record.offset);
    this.pump();
  }

  /** It is to be delivered again. */
  again(partition: Partition, entry: Entry): void {
    if (!this.#land(partition)) return;
    partition.putBack(entry);
    this.pump();
  }

  /** Goes on with the partition whose turn it was: none of them has to wait until another has nothing left. */
  #pump(): void {
    let isRoom = false;
    for (let without = 0; without < this.#partitions.length && this.#canDeliver();) {
      const partition = this.#partitions[this.#place];
      if (partition !== undefined && this.#turns < turn && this.#deliverFrom(partition)) {
        this.#turns += 1;
        without = 0;
        isRoom ||= partition.waiting < this.#options.refillBelow;
        continue;
      }
      if (this.#turns === 0) without += 1;
      this.#turns = 0;
      this.#place = (this.#place + 1) % this.#partitions.length;
    }
    if (isRoom) this.#options.onRoom();
  }

  #canDeliver(): boolean {
    return !this.#isStopped && this.#inFlight < this.#options.maxInFlight;
  }

  /** Whether there was something. */
  #deliverFrom(partition: Partition): boolean {
    if (!partition.isOpen) return false;
    const record = partition.peek();
    if (record === undefined) return false;
    const note = this.#options.retries?.noteOf(partition, record);
    if (note?.isOurs && note.dueAt > this.#options.clock.now()) {
      this.#wait(partition, note.dueAt);
      return false;
    }
    const entry = partition.take();
    if (entry === undefined) return false;
    if (note?.isOurs === false) partition.tracker.finish(record.offset);
    else this.#hand(partition, entry, note);
    return true;
  }

  #wait(partition: Partition, dueAt: number): void {
    if (this.#waits.has(partition)) return;
    const { clock } = this.#options;
    const wake = (): void => {
      this.#waits.delete(partition);
      this.pump();
    };
    this.#waits.set(partition, clock.after(dueAt - clock.now(), wake));
  }

  #hand(partition: Partition, entry: Entry, origin: Origin | undefined): void {
    const { stream, sink, binding } = this.#options;
    entry.attempts += 1;
    const inbound = new KafkaInbound({ stream, binding, partition, entry, origin, settling: this.#settling });
    this.#options.onMessage?.(inbound.message);
    partition.unsettled += 1;
    this.#inFlight += 1;
    partition.flights.add(inbound);
    inbound.handover = sink.deliver(inbound);
  }

  async #release(partition: Partition, entry: Entry, delay: number): Promise<void> {
    const isElsewhere = delay > 0 && (await this.#options.retries?.postpone(partition, entry, delay));
    if (isElsewhere) this.finish(partition, entry);
    else this.again(partition, entry);
  }

  /** `false` when it was no longer in flight. */
  #land(partition: Partition): boolean {
    if (partition.isLost) return false;
    partition.unsettled -= 1;
    this.#inFlight -= 1;
    return true;
  }

  /** What was delivered of it belongs to others again. */
  #drop(partition: Partition): void {
    this.#partitions = this.#partitions.filter((each) => each !== partition);
    this.#place = 0;
    this.#waits.get(partition)?.();
    this.#waits.delete(partition);
    this.#inFlight -= partition.unsettled;
    partition.unsettled = 0;
    this.pump();
  }
}
