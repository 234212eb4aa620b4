import type { Consumer, Producer } from "@platformatic/kafka";
import type { Message } from "event-driver";

import { compatibilityPartitioner } from "@platformatic/kafka";

import type { Entry, Partition } from "./partition.ts";
import type { Topology } from "./topology.ts";
import type { Output } from "./transactions.ts";

import { type OutgoingRecord, toProduce } from "./outgoing-record.ts";

export interface TransactionCommitterOptions {
  readonly consumer: Consumer;
  /** A producer with the same transactional id each time: a new one ends what the one before it has left open. */
  readonly newProducer: () => Producer;
  readonly topology: Pick<Topology, "require" | "committed">;
  readonly topicOf: (stream: string) => string;
  readonly outputsOf: (message: Message) => readonly Output<OutgoingRecord>[];
  readonly onCommitted: (partition: Partition, entry: Entry) => void;
}

interface Done {
  readonly entry: Entry;
  readonly outputs: readonly Output<OutgoingRecord>[];
}

/** What one transaction has of a partition. */
interface Part {
  readonly partition: Partition;
  readonly done: readonly Done[];
  /** The offset behind the last of them. */
  readonly position: bigint;
}

/**
 * Commits what is done in transactions: what was published for it together with the position, all or nothing.
 *
 * A position cannot pass what is not done, so what was done out of turn waits, with what it publishes. Whoever has lost a partition cannot commit for it:
 * the group's generation goes with the position, and the broker refuses an old one.
 */
export class TransactionCommitter {
  readonly #options: TransactionCommitterOptions;
  readonly #done = new Map<Partition, Map<bigint, Done>>();
  #producer: Producer | undefined;

  constructor(options: TransactionCommitterOptions) {
    this.#options = options;
  }

  add(partition: Partition, entry: Entry, message: Message): void {
    const done = this.#done.get(partition) ?? this.#open(partition);
    done.set(entry.record.offset, { entry, outputs: this.#options.outputsOf(message) });
  }

  /** Commits all that can be; not to be called again before it has ended. */
  async commit(): Promise<void> {
    for (let parts = this.#ready(); parts.length > 0; parts = this.#ready()) {
      try {
        await this.#transact(parts);
      } catch (error) {
        await this.#recover(parts, error);
        continue;
      }
      for (const part of parts) this.#settle(part);
    }
  }

  async close(): Promise<void> {
    await this.#producer?.close(true);
  }

  #open(partition: Partition): Map<bigint, Done> {
    const done = new Map<bigint, Done>();
    this.#done.set(partition, done);
    partition.signal.addEventListener("abort", () => this.#done.delete(partition), { once: true });
    return done;
  }

  #ready(): readonly Part[] {
    return Array.from(this.#done, ([partition, done]): Part => {
      const offsets = partition.tracker.leading((offset) => done.has(offset));
      return { partition, done: offsets.flatMap((offset) => done.get(offset) ?? []), position: (offsets.at(-1) ?? -1n) + 1n };
    }).filter(({ done }) => done.length > 0);
  }

  async #transact(parts: readonly Part[]): Promise<void> {
    const { consumer, topology, topicOf } = this.#options;
    const outputs = parts.flatMap(({ done }) => done.flatMap((each) => each.outputs));
    for (const stream of new Set(outputs.map(({ stream }) => stream))) await topology.require(topicOf(stream));
    this.#producer ??= this.#options.newProducer();
    const transaction = await this.#producer.beginTransaction();
    if (outputs.length > 0)
      await transaction.send({
        messages: outputs.map(({ stream, record }) => toProduce(topicOf(stream), record)),
        partitioner: compatibilityPartitioner,
      });
    await transaction.addConsumer(consumer);
    for (const part of parts) await transaction.addOffset(await this.#lastOf(part));
    await transaction.commit();
  }

  /** The client takes the position from a message that it has read, and whose it is from what it says of its reader. */
  async #lastOf({
    partition: { topic, index },
    position,
  }: Part): Promise<Parameters<Awaited<ReturnType<Producer["beginTransaction"]>>["addOffset"]>[0]> {
    const { consumer } = this.#options;
    const { groupId, generationId, memberId } = consumer;
    const coordinatorId = await consumer.findGroupCoordinator();
    return {
      topic,
      partition: index,
      offset: position - 1n,
      key: noBytes,
      value: noBytes,
      headers: new Map(),
      headerEntries: [],
      timestamp: 0n,
      leaderEpoch: -1,
      metadata: { consumer: { groupId, generationId, memberId, coordinatorId } },
      commit() {},
      toJSON: () => ({
        key: noBytes,
        value: noBytes,
        headers: [],
        topic,
        partition: index,
        timestamp: "0",
        offset: "0",
        leaderEpoch: -1,
        metadata: {},
      }),
    };
  }

  /** Whether a transaction was committed whose answer is missing is known when its producer has been replaced: the position says it. */
  async #recover(parts: readonly Part[], cause: unknown): Promise<void> {
    const { topology, consumer } = this.#options;
    await this.#producer?.close(true);
    this.#producer = this.#options.newProducer();
    const empty = await this.#producer.beginTransaction();
    await empty.abort();
    let isAny = false;
    for (const part of parts) {
      const { topic, index } = part.partition;
      const committed = (await topology.committed(consumer.groupId, topic)).get(index) ?? -1n;
      if (part.partition.isLost || committed < part.position) continue;
      this.#settle(part);
      isAny = true;
    }
    if (!isAny) throw cause;
  }

  #settle({ partition, done, position }: Part): void {
    if (partition.isLost) return;
    partition.committed = position;
    for (const { entry } of done) {
      this.#done.get(partition)?.delete(entry.record.offset);
      this.#options.onCommitted(partition, entry);
    }
  }
}

const noBytes = Buffer.alloc(0);
