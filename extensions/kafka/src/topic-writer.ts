import { type Clock, EventDriverError, quote, sleep } from "event-driver";

import type { Leaders, ProduceClient } from "./produce-client.ts";
import type { Topology } from "./topology.ts";

import { mostBesideRecord, type ProducerIdentity, type SizedRecord } from "./batch-encoder.ts";
import { isPassing, isProtocolError } from "./failures.ts";
import { partitionOfKey } from "./partition-of-key.ts";
import { type Batch, PartitionWriter } from "./partition-writer.ts";

export interface TopicWriterOptions {
  readonly client: ProduceClient;
  /** Who writes, until a partition needs another. */
  readonly identity: () => Promise<ProducerIdentity>;
  readonly topology: Pick<Topology, "require" | "forget">;
  /** How many bytes of records go into one request, at most. */
  readonly batchBytes: number;
  readonly clock: Clock;
  /** Aborts when the connection closes. */
  readonly signal: AbortSignal;
}

/** A record whose caller waits. */
export interface WaitingRecord extends SizedRecord {
  readonly resolve: () => void;
  readonly reject: (failure: unknown) => void;
}

/** So many times records were taken from those that wait, and not all of them are answered: the next ones are made ready while the broker works. */
const mostUnderWay = 2;

/** Milliseconds. */
const pauseAfterError = 500;

/** Sends the records of one topic, each key in the order of the calls: what comes while requests are under way goes together into the next one. */
export class TopicWriter {
  readonly #topic: string;
  readonly #options: TopicWriterOptions;
  readonly #waiting = new Set<WaitingRecord>();
  readonly #partitions = new Map<number, PartitionWriter>();
  #underWay = 0;
  #isPumping = false;

  constructor(topic: string, options: TopicWriterOptions) {
    this.#topic = topic;
    this.#options = options;
  }

  add(waiting: WaitingRecord): void {
    this.#waiting.add(waiting);
    // Whatever is written in the same turn goes together.
    if (this.#waiting.size === 1) queueMicrotask(() => void this.#pump());
  }

  /** Takes back a record that has not been sent. */
  remove(waiting: WaitingRecord): void {
    this.#waiting.delete(waiting);
  }

  /** What is not answered yet is rejected: it may have been written. */
  close(failure: unknown): void {
    for (const { reject } of this.#waiting) reject(failure);
    this.#waiting.clear();
    for (const partition of this.#partitions.values()) partition.close(failure);
  }

  /** Sends as long as there is something to send and room for it. Never rejects. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#waiting.size > 0 && this.#underWay < mostUnderWay) {
      try {
        const { identity, leaders } = await this.#ready();
        this.#send(this.#take(), identity, leaders);
      } catch (error) {
        this.#options.topology.forget(this.#topic);
        for (const { reject } of this.#take()) reject(error);
      }
    }
    this.#isPumping = false;
  }

  /** A broker that is away is waited for. */
  async #ready(): Promise<{ readonly identity: ProducerIdentity; readonly leaders: Leaders }> {
    const { topology, identity, client, clock, signal } = this.#options;
    for (;;) {
      try {
        await topology.require(this.#topic);
        return { identity: await identity(), leaders: await client.leaders(this.#topic) };
      } catch (error) {
        if (!isPassing(error) || signal.aborted) throw error;
        await sleep(clock, pauseAfterError, signal);
      }
    }
  }

  #take(): readonly WaitingRecord[] {
    const taken: WaitingRecord[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.size + mostBesideRecord;
      if (taken.length > 0 && bytes > this.#options.batchBytes) break;
      taken.push(waiting);
      this.#waiting.delete(waiting);
    }
    return taken;
  }

  /** One request for each broker that leads some of the partitions. */
  #send(taken: readonly WaitingRecord[], identity: ProducerIdentity, { partitionCount, leaderOf }: Leaders): void {
    const byPartition = Map.groupBy(taken, ({ record }) => partitionOfKey(record.key, partitionCount));
    if (byPartition.size === 0) return;
    this.#underWay += 1;
    let unsettled = byPartition.size;
    const onSettled = (): void => {
      unsettled -= 1;
      if (unsettled > 0) return;
      this.#underWay -= 1;
      void this.#pump();
    };
    const batches = Array.from(byPartition, ([partition, records]) =>
      this.#partition(partition).add(records, identity, (failure) => {
        this.#settle(records, failure);
        onSettled();
      }),
    );
    const ready = batches.filter((batch) => batch !== undefined);
    for (const [node, together] of Map.groupBy(ready, ({ partition }) => leaderOf(partition))) void this.#request(node, together);
  }

  async #request(node: number | undefined, batches: readonly Batch[]): Promise<void> {
    const failures = await this.#options.client.produce(node, this.#topic, batches);
    for (const batch of batches) this.#partition(batch.partition).answered(batch, failures.get(batch.partition));
  }

  #partition(partition: number): PartitionWriter {
    const known = this.#partitions.get(partition);
    if (known !== undefined) return known;
    const { client, clock, signal } = this.#options;
    const writer = new PartitionWriter({ topic: this.#topic, partition, client, clock, signal });
    this.#partitions.set(partition, writer);
    return writer;
  }

  #settle(records: readonly WaitingRecord[], failure: unknown): void {
    if (failure === undefined) {
      for (const { resolve } of records) resolve();
      return;
    }
    this.#options.topology.forget(this.#topic);
    const shown = isProtocolError(failure, ...tooLarge) ? messageTooLarge(this.#topic, failure) : failure;
    for (const { reject } of records) reject(shown);
  }
}

const tooLarge = ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"];

function messageTooLarge(topic: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `topic ${quote(topic)} takes no records of this size; raise its max.message.bytes, or keep batchBytes below that`,
    retryable: false,
    cause,
  });
}
