import { ProtocolError, protocolErrorsCodesById } from "@platformatic/kafka";
import type { Clock } from "event-driver";

import type { PartitionAnswer } from "./fetch-api.ts";
import type { Answered, Cluster, FetchClient } from "./fetch-client.ts";
import type { LogRecord } from "./log-record.ts";
import type { KafkaFetchOptions } from "./options.ts";
import type { Partition } from "./partition.ts";

import { readableRecords } from "./readable-records.ts";

export interface FetcherOptions {
  readonly client: FetchClient;
  readonly settings: Pick<Required<KafkaFetchOptions>, "maxWait" | "isolation">;
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

/** Fetches records, with one request at a time to each broker. */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #partitions = new Set<Partition>();
  readonly #nodes = new Map<number, Node>();
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
        const cluster = await this.#options.client.cluster();
        for (const [topic, count] of cluster.partitionCounts) this.#options.onPartitionCount(topic, count);
        for (const partition of this.#partitions) partition.node = partition.preferredReplica ?? cluster.leaderOf(partition);
        for (const [node, partitions] of this.#byNode())
          if (node !== undefined && !this.#isStopped && this.#isDue(node, partitions)) void this.#fetch(node, partitions, cluster);
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
  async #fetch(id: number, partitions: readonly Partition[], cluster: Cluster): Promise<void> {
    const node = this.#nodeOf(id);
    node.isAsked = true;
    node.isLookDue = false;
    node.cancelLook?.();
    node.cancelLook = undefined;
    const { client, settings } = this.#options;
    const wanting = partitions.filter((partition) => this.#wants(partition));
    const wait = wanting.length === partitions.length ? settings.maxWait : Math.min(shortWait, settings.maxWait);
    try {
      const questions = wanting.map((partition) => ({ partition, offset: partition.next }));
      this.#read(await cluster.fetch(id, questions, wait));
    } catch (error) {
      // What is wrong with it may be that a replica has gone.
      for (const partition of wanting) partition.preferredReplica = undefined;
      client.forget();
      this.#pause(error);
    }
    node.isAsked = false;
    this.wake();
  }

  /** @throws the first error that the broker has told of a partition, after the others were read */
  #read(answers: readonly Answered[]): void {
    for (const { partition, offset, answer } of answers) {
      // It may have been lost meanwhile, or set to another offset.
      if (partition.isOpen && offset === partition.next) this.#readPartition(partition, answer);
    }
    const failed = answers.find(({ answer }) => answer.errorCode !== 0)?.answer;
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

  #pause(error: unknown): void {
    if (this.#isStopped) return;
    this.#options.onError(error);
    this.#cancelPause ??= this.#options.clock.after(pauseAfterError, () => {
      this.#cancelPause = undefined;
      this.wake();
    });
  }
}
