import {
  type ClusterMetadata,
  type ConnectionPool,
  type Consumer,
  FetchIsolationLevels,
  ProtocolError,
  protocolErrorsCodesById,
  UserError,
} from "@platformatic/kafka";
import type { Clock } from "event-driver";

import type { LogRecord } from "./log-record.ts";
import type { KafkaFetchOptions } from "./options.ts";
import type { Partition } from "./partition.ts";

import { type FetchApi, fetchApi, type PartitionAnswer, usesTopicIds } from "./fetch-api.ts";
import { readableRecords } from "./readable-records.ts";

export interface FetcherOptions {
  readonly consumer: Consumer;
  /** Of its own: a broker answers the requests of one connection in turn, and a fetch may wait for long. */
  readonly pool: ConnectionPool;
  readonly topics: readonly string[];
  readonly settings: Required<KafkaFetchOptions>;
  /** Where we are, so that a replica nearby can be fetched from; empty where that does not matter. */
  readonly rack: string;
  /** So many records of a partition may wait before no more are fetched. */
  readonly ahead: number;
  readonly clock: Clock;
  readonly onRecords: (partition: Partition, records: readonly LogRecord[], next: bigint) => void;
  /** The offset is not there any more, or not yet. */
  readonly onOutOfRange: (partition: Partition) => void;
  /** How many partitions a topic has. */
  readonly onPartitionCount: (topic: string, count: number) => void;
  readonly onError: (error: unknown) => void;
}

/** What a request asks of a partition. */
interface Question {
  readonly partition: Partition;
  readonly offset: bigint;
}

/** While some partitions have enough, the others must not wait for long: what is fetched cannot be changed on the way. */
const shortWait = 50;
const pauseAfterError = 200;
/** A broker keeps nothing of a request for the next one. */
const noSession = { id: 0, epoch: -1 };

/** Fetches records, with one request at a time to each broker. */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #partitions = new Set<Partition>();
  /** The brokers that a request is on its way to. */
  readonly #asked = new Set<number>();
  #api: FetchApi | undefined;
  #isPlanning = false;
  #isAwake = false;
  #isStopped = false;
  #cancelPause: (() => void) | undefined;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  add(partitions: readonly Partition[]): void {
    for (const partition of partitions) {
      this.#partitions.add(partition);
      partition.signal.addEventListener("abort", () => this.#partitions.delete(partition), { once: true });
    }
    this.wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelPause?.();
  }

  /** Fetches what there is room for, as soon as whoever calls has finished. */
  wake(): void {
    if (this.#isStopped || this.#cancelPause !== undefined || !this.#canAsk()) return;
    this.#isAwake = true;
    if (!this.#isPlanning) void this.#plan();
  }

  /** Never rejects. */
  async #plan(): Promise<void> {
    this.#isPlanning = true;
    try {
      while (this.#isAwake && !this.#isStopped) {
        this.#isAwake = false;
        const api = (this.#api ??= await fetchApi(this.#options.consumer));
        const metadata = await this.#options.consumer.metadata({ topics: [...this.#options.topics] });
        this.#tellCounts(metadata);
        for (const [node, partitions] of this.#roomByNode(metadata)) void this.#fetch(api, node, partitions, metadata);
      }
    } catch (error) {
      this.#pause(error);
    }
    this.#isPlanning = false;
  }

  /** Whether a partition has room, and its broker is not busy with us, as far as we know. */
  #canAsk(): boolean {
    for (const partition of this.#partitions) {
      if (this.#wants(partition) && (partition.node === undefined || !this.#asked.has(partition.node))) return true;
    }
    return false;
  }

  #wants(partition: Partition): boolean {
    return partition.isOpen && partition.waiting < this.#options.ahead;
  }

  #roomByNode(metadata: ClusterMetadata): Map<number, Partition[]> {
    const byNode = new Map<number, Partition[]>();
    for (const partition of this.#partitions) {
      const node = partition.preferredReplica ?? metadata.topics.get(partition.topic)?.partitions[partition.index]?.leader;
      partition.node = node;
      if (node === undefined || this.#asked.has(node) || !this.#wants(partition)) continue;
      const partitions = byNode.get(node) ?? [];
      partitions.push(partition);
      byNode.set(node, partitions);
    }
    return byNode;
  }

  /** Never rejects. */
  async #fetch(api: FetchApi, node: number, partitions: readonly Partition[], metadata: ClusterMetadata): Promise<void> {
    this.#asked.add(node);
    try {
      const questions = new Map(partitions.map((partition) => [nameOf(partition, api, metadata), { partition, offset: partition.next }]));
      this.#read(await this.#ask(api, node, questions, metadata), questions);
    } catch (error) {
      // What is wrong with it may be that a broker has another version now, or that a replica has gone.
      this.#api = undefined;
      for (const partition of partitions) partition.preferredReplica = undefined;
      this.#options.consumer.clearMetadata();
      this.#pause(error);
    }
    this.#asked.delete(node);
    this.wake();
  }

  async #ask(
    api: FetchApi,
    node: number,
    questions: ReadonlyMap<string, Question>,
    metadata: ClusterMetadata,
  ): Promise<readonly PartitionAnswer[]> {
    const { pool, settings, rack } = this.#options;
    const { partitionBytes, maxWait, isolation } = settings;
    const broker = metadata.brokers.get(node);
    if (broker === undefined) throw new UserError(`the cluster does not know broker ${node} any more`);
    const isAll = [...this.#partitions].every((partition) => this.#wants(partition));
    return api.async(
      await pool.get(broker),
      isAll ? maxWait : Math.min(shortWait, maxWait),
      1,
      partitionBytes * questions.size,
      isolation === "committed" ? FetchIsolationLevels.READ_COMMITTED : FetchIsolationLevels.READ_UNCOMMITTED,
      noSession.id,
      noSession.epoch,
      Array.from(questions.values(), ({ partition, offset }) => ({
        topicId: topicIn(partition, api, metadata),
        partitions: [
          {
            partition: partition.index,
            fetchOffset: offset,
            partitionMaxBytes: partitionBytes,
            currentLeaderEpoch: -1,
            lastFetchedEpoch: -1,
          },
        ],
      })),
      [],
      rack,
    );
  }

  /** @throws the first error that the broker has told of a partition, after the others were read */
  #read(answers: readonly PartitionAnswer[], questions: ReadonlyMap<string, Question>): void {
    for (const answer of answers) {
      const { partition, offset } = questions.get(`${answer.topic}/${answer.index}`) ?? {};
      // It may have been lost meanwhile, or set to another offset.
      if (partition?.isOpen && offset === partition.next) this.#readPartition(partition, answer);
    }
    const failed = answers.find(({ errorCode }) => errorCode !== 0);
    if (failed !== undefined) throw new ProtocolError(failed.errorCode, undefined, { partition: failed.index });
  }

  #readPartition(partition: Partition, answer: PartitionAnswer): void {
    if (protocolErrorsCodesById[answer.errorCode] === "OFFSET_OUT_OF_RANGE") return this.#options.onOutOfRange(partition);
    if (answer.errorCode !== 0) return;
    if (answer.preferredReplica >= 0) partition.preferredReplica = answer.preferredReplica;
    const { isolation } = this.#options.settings;
    partition.end = answer.lastStableOffset >= 0n && isolation === "committed" ? answer.lastStableOffset : answer.highWatermark;
    const { records, next } = readableRecords(answer, partition.next, isolation);
    if (next > partition.next) this.#options.onRecords(partition, records, next);
  }

  #tellCounts({ topics }: ClusterMetadata): void {
    for (const [topic, { partitionsCount }] of topics) this.#options.onPartitionCount(topic, partitionsCount);
  }

  #pause(error: unknown): void {
    if (this.#isStopped) return;
    this.#options.onError(error);
    this.#cancelPause ??= this.#options.clock.after(pauseAfterError, () => {
      this.#cancelPause = undefined;
      this.wake();
    });
  }
}

/** A topic as a request names it. */
function topicIn({ topic }: Partition, api: FetchApi, metadata: ClusterMetadata): string {
  return usesTopicIds(api) ? (metadata.topics.get(topic)?.id ?? "") : topic;
}

function nameOf(partition: Partition, api: FetchApi, metadata: ClusterMetadata): string {
  return `${topicIn(partition, api, metadata)}/${partition.index}`;
}
