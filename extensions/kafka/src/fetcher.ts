import {
  type ClusterMetadata,
  type ConnectionPool,
  type Consumer,
  FetchIsolationLevels,
  protocolErrorsCodesById,
  ResponseError,
} from "@platformatic/kafka";
import type { Clock } from "event-driver";

import type { KafkaFetchOptions } from "./options.ts";
import type { LogRecord, Partition } from "./partition.ts";

import { type PartitionAnswer, readableRecords } from "./readable-records.ts";

export interface FetcherOptions {
  readonly consumer: Consumer;
  /** Of its own: a broker answers the requests of one connection in turn, and a fetch may wait for long. */
  readonly pool: ConnectionPool;
  readonly topics: readonly string[];
  readonly settings: Required<KafkaFetchOptions>;
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

type FetchResponse = Awaited<ReturnType<Consumer["fetch"]>>;

/** While some partitions have enough, the others must not wait for long: what is fetched cannot be changed on the way. */
const shortWait = 50;
const pauseAfterError = 200;

/** Fetches records, with one request at a time to each broker. */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #partitions = new Set<Partition>();
  /** The brokers that a request is on its way to. */
  readonly #asked = new Set<number>();
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
        const metadata = await this.#options.consumer.metadata({ topics: [...this.#options.topics] });
        this.#tellCounts(metadata);
        for (const [node, partitions] of this.#roomByNode(metadata)) void this.#fetch(node, partitions, metadata);
      }
    } catch (error) {
      this.#pause(error);
    }
    this.#isPlanning = false;
  }

  /** Whether a partition has room, and its broker is not busy with us, as far as we know. */
  #canAsk(): boolean {
    for (const partition of this.#partitions) {
      if (this.#wants(partition) && (partition.leader === undefined || !this.#asked.has(partition.leader))) return true;
    }
    return false;
  }

  #wants(partition: Partition): boolean {
    return partition.isOpen && partition.waiting < this.#options.ahead;
  }

  #roomByNode(metadata: ClusterMetadata): Map<number, Partition[]> {
    const byNode = new Map<number, Partition[]>();
    for (const partition of this.#partitions) {
      const leader = metadata.topics.get(partition.topic)?.partitions[partition.index]?.leader;
      partition.leader = leader;
      if (leader === undefined || this.#asked.has(leader) || !this.#wants(partition)) continue;
      const partitions = byNode.get(leader) ?? [];
      partitions.push(partition);
      byNode.set(leader, partitions);
    }
    return byNode;
  }

  /** Never rejects. */
  async #fetch(node: number, partitions: readonly Partition[], metadata: ClusterMetadata): Promise<void> {
    this.#asked.add(node);
    const offsets = new Map(partitions.map((partition) => [partition, partition.next]));
    try {
      this.#read(await this.#ask(node, partitions, metadata), offsets, metadata);
    } catch (error) {
      const response = error instanceof ResponseError ? responseOf(error) : undefined;
      if (response !== undefined) this.#read(response, offsets, metadata);
      this.#options.consumer.clearMetadata();
      this.#pause(error);
    }
    this.#asked.delete(node);
    this.wake();
  }

  #ask(node: number, partitions: readonly Partition[], metadata: ClusterMetadata): Promise<FetchResponse> {
    const { consumer, pool, settings } = this.#options;
    const isAll = [...this.#partitions].every((partition) => this.#wants(partition));
    return consumer.fetch({
      node,
      connectionPool: pool,
      minBytes: 1,
      maxBytes: settings.partitionBytes * partitions.length,
      maxWaitTime: isAll ? settings.maxWait : Math.min(shortWait, settings.maxWait),
      isolationLevel: settings.isolation === "committed" ? FetchIsolationLevels.READ_COMMITTED : FetchIsolationLevels.READ_UNCOMMITTED,
      topics: partitions.map(({ topic, index, next }) => ({
        topicId: metadata.topics.get(topic)?.id ?? "",
        partitions: [
          { partition: index, fetchOffset: next, partitionMaxBytes: settings.partitionBytes, currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
        ],
      })),
    });
  }

  #read({ responses }: FetchResponse, offsets: ReadonlyMap<Partition, bigint>, metadata: ClusterMetadata): void {
    for (const { topicId, partitions } of responses) {
      for (const answer of partitions) {
        const partition = [...offsets.keys()].find(
          ({ topic, index }) => index === answer.partitionIndex && metadata.topics.get(topic)?.id === topicId,
        );
        // It may have been lost meanwhile, or set to another offset.
        if (partition?.isOpen && offsets.get(partition) === partition.next) this.#readPartition(partition, answer);
      }
    }
  }

  #readPartition(partition: Partition, answer: PartitionAnswer): void {
    if (protocolErrorsCodesById[answer.errorCode] === "OFFSET_OUT_OF_RANGE") return this.#options.onOutOfRange(partition);
    if (answer.errorCode !== 0) return;
    partition.end =
      answer.lastStableOffset >= 0n && this.#options.settings.isolation === "committed" ? answer.lastStableOffset : answer.highWatermark;
    const { records, next } = readableRecords(answer, partition.next, this.#options.settings.isolation);
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

/** Where single partitions have failed, the answer for the others is in the error. */
function responseOf(error: ResponseError): FetchResponse | undefined {
  const response: unknown = Reflect.get(error, "response");
  return isFetchResponse(response) ? response : undefined;
}

function isFetchResponse(response: unknown): response is FetchResponse {
  return typeof response === "object" && response !== null && "responses" in response && Array.isArray(response.responses);
}
