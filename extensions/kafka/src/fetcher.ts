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
  /** With fewer it is time to ask for more, of all that have room. */
  readonly refillBelow: number;
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

/** What we know of a node. */
interface Node {
  /** A request is on its way to it. */
  isAsked: boolean;
  /** It is time to look after those that have nothing, though others still have enough. */
  isLookDue: boolean;
  cancelLook: (() => void) | undefined;
}

/**
 * While some partitions have enough, a request for the others only must not be a long one, nor come often: what is asked cannot be changed on the way, and
 * those that have enough now may soon need more.
 */
const shortWait = 50;
const pauseAfterError = 200;
/** A broker keeps nothing of a request for the next one. */
const noSession = { id: 0, epoch: -1 };

/** Fetches records, with one request at a time to each broker. */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #partitions = new Set<Partition>();
  readonly #nodes = new Map<number, Node>();
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
    for (const { cancelLook } of this.#nodes.values()) cancelLook?.();
  }

  /** Fetches what there is room for, as soon as whoever calls has finished. */
  wake(): void {
    if (this.#isStopped || this.#cancelPause !== undefined) return;
    const isDue = this.#byNode().map(([node, partitions]) => node === undefined || this.#isDue(node, partitions));
    if (!isDue.includes(true)) return;
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
        for (const partition of this.#partitions) partition.node = nodeOf(partition, metadata);
        for (const [node, partitions] of this.#byNode())
          if (node !== undefined && !this.#isStopped && this.#isDue(node, partitions)) void this.#fetch(api, node, partitions, metadata);
      }
    } catch (error) {
      this.#pause(error);
    }
    this.#isPlanning = false;
  }

  #byNode(): readonly (readonly [node: number | undefined, partitions: readonly Partition[]])[] {
    const open = Array.from(this.#partitions).filter(({ isOpen }) => isOpen);
    return [...Map.groupBy(open, ({ node }) => node)];
  }

  /** Whether it is time to ask a node; if it will be soon, we come back then. */
  #isDue(id: number, partitions: readonly Partition[]): boolean {
    const node = this.#nodeOf(id);
    const wanting = partitions.filter((partition) => this.#wants(partition));
    if (node.isAsked || wanting.length === 0) return false;
    if (node.isLookDue || wanting.length === partitions.length || wanting.some((partition) => this.#isUrgent(partition))) return true;
    node.cancelLook ??= this.#options.clock.after(shortWait, () => {
      node.cancelLook = undefined;
      node.isLookDue = true;
      this.wake();
    });
    return false;
  }

  #wants({ waiting }: Partition): boolean {
    return waiting < this.#options.ahead;
  }

  /** Nothing has to be waited for, and there is not much left. */
  #isUrgent({ waiting, next, end }: Partition): boolean {
    return waiting < this.#options.refillBelow && next < end;
  }

  #nodeOf(id: number): Node {
    const known = this.#nodes.get(id);
    if (known !== undefined) return known;
    const node: Node = { isAsked: false, isLookDue: false, cancelLook: undefined };
    this.#nodes.set(id, node);
    return node;
  }

  /** Never rejects. */
  async #fetch(api: FetchApi, id: number, partitions: readonly Partition[], metadata: ClusterMetadata): Promise<void> {
    const node = this.#nodeOf(id);
    node.isAsked = true;
    node.isLookDue = false;
    node.cancelLook?.();
    node.cancelLook = undefined;
    const { maxWait } = this.#options.settings;
    const wanting = partitions.filter((partition) => this.#wants(partition));
    try {
      const questions = new Map(wanting.map((partition) => [nameOf(partition, api, metadata), { partition, offset: partition.next }]));
      const wait = wanting.length === partitions.length ? maxWait : Math.min(shortWait, maxWait);
      this.#read(await this.#ask(api, id, questions, wait, metadata), questions);
    } catch (error) {
      // What is wrong with it may be that a broker has another version now, or that a replica has gone.
      this.#api = undefined;
      for (const partition of wanting) partition.preferredReplica = undefined;
      this.#options.consumer.clearMetadata();
      this.#pause(error);
    }
    node.isAsked = false;
    this.wake();
  }

  async #ask(
    api: FetchApi,
    id: number,
    questions: ReadonlyMap<string, Question>,
    wait: number,
    metadata: ClusterMetadata,
  ): Promise<readonly PartitionAnswer[]> {
    const { pool, settings, rack } = this.#options;
    const { partitionBytes, isolation } = settings;
    const broker = metadata.brokers.get(id);
    if (broker === undefined) throw new UserError(`the cluster does not know broker ${id} any more`);
    return api.async(
      await pool.get(broker),
      wait,
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

/** Where to fetch from. */
function nodeOf({ preferredReplica, topic, index }: Partition, { topics }: ClusterMetadata): number | undefined {
  return preferredReplica ?? topics.get(topic)?.partitions[index]?.leader;
}

/** A topic as a request names it. */
function topicIn({ topic }: Partition, api: FetchApi, metadata: ClusterMetadata): string {
  return usesTopicIds(api) ? (metadata.topics.get(topic)?.id ?? "") : topic;
}

function nameOf(partition: Partition, api: FetchApi, metadata: ClusterMetadata): string {
  return `${topicIn(partition, api, metadata)}/${partition.index}`;
}
