import { type Admin, FetchIsolationLevels, ListOffsetTimestamps } from "@platformatic/kafka";
import { type Clock, sleep } from "event-driver";
import type { Backfill } from "event-driver/streams";

import type { KafkaSettings } from "./options.ts";

import { brokerFailed, isProtocolError, topicMissing } from "./failures.ts";
import { parsePosition } from "./position.ts";

export type Offsets = ReadonlyMap<number, bigint>;

/** How often, and after how many milliseconds, a cluster is asked again for what it does not know yet. */
const patience = { tries: 300, pause: 100 };

/** The topics and the positions of groups at the brokers. */
export class Topology {
  readonly #admin: Admin;
  readonly #settings: Pick<KafkaSettings, "topology" | "topic" | "clock">;
  /** How many partitions each topic has, as far as it was asked. */
  readonly #topics = new Map<string, Promise<number>>();

  constructor(admin: Admin, settings: Pick<KafkaSettings, "topology" | "topic" | "clock">) {
    this.#admin = admin;
    this.#settings = settings;
  }

  /**
   * How many partitions the topic has, which is made where it is missing and may be made.
   *
   * @throws EventDriverError `ERR_TOPOLOGY`, `ERR_CONNECTION_FAILED`
   */
  require(topic: string): Promise<number> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const asked = this.#find(topic).catch((error: unknown) => {
      this.#topics.delete(topic);
      throw brokerFailed(`topic ${topic}`, error);
    });
    this.#topics.set(topic, asked);
    return asked;
  }

  /** The topic may have been removed, or got more partitions: it is asked for anew. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /**
   * The committed offset of each partition that has one.
   *
   * @throws the client's error, also as long as a transaction that would move an offset is not decided: that of a process that has died is by its timeout
   */
  committed(group: string, topic: string): Promise<Offsets> {
    return this.#committed(group, topic, true);
  }

  /** Whether the group has a position in the topic. */
  async hasPosition(group: string, topic: string): Promise<boolean> {
    return (await this.#committed(group, topic, false)).size > 0;
  }

  /** The offset of each partition from which a name starts that asks for it. */
  async starts(topic: string, backfill: Backfill, isolation: "committed" | "uncommitted"): Promise<Offsets> {
    const count = await this.require(topic);
    if (typeof backfill === "boolean")
      return this.#at(topic, indexes(count), backfill ? ListOffsetTimestamps.EARLIEST : ListOffsetTimestamps.LATEST, isolation);
    if (backfill instanceof Date) return this.#since(topic, indexes(count), BigInt(backfill.getTime()), isolation);
    const position = parsePosition(backfill.position);
    const others = await this.#since(topic, indexes(count), BigInt(position.timestamp), isolation);
    return new Map([...others, [position.partition, position.offset]]);
  }

  /** The first offset that a partition still has. */
  async earliest(topic: string, partition: number): Promise<bigint> {
    return (await this.#at(topic, [partition], ListOffsetTimestamps.EARLIEST, "uncommitted")).get(partition) ?? 0n;
  }

  /** Sets positions; `false` when the group has members, whose positions they are. */
  async setPositions(group: string, topic: string, offsets: Offsets): Promise<boolean> {
    try {
      await this.#patiently(() =>
        this.#admin.alterConsumerGroupOffsets({
          groupId: group,
          topics: [{ name: topic, partitionOffsets: Array.from(offsets, ([partition, offset]) => ({ partition, offset })) }],
        }),
      );
      return true;
    } catch (error) {
      if (isProtocolError(error, ...foreignMembers)) return false;
      throw error;
    }
  }

  /** Removes positions, unless the group has members. */
  async forgetPositions(group: string, topics: readonly string[]): Promise<void> {
    try {
      const counted = await Promise.all(topics.map(async (name) => ({ name, partitionIndexes: [...indexes(await this.require(name))] })));
      await this.#admin.deleteConsumerGroupOffsets({ groupId: group, topics: counted });
    } catch (error) {
      if (!isProtocolError(error, ...foreignMembers, "GROUP_ID_NOT_FOUND")) throw error;
    }
  }

  async #committed(group: string, topic: string, requireStable: boolean): Promise<Offsets> {
    const partitionIndexes = indexes(await this.require(topic));
    const [found] = await this.#patiently(() =>
      this.#admin.listConsumerGroupOffsets({ groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes }] }], requireStable }),
    );
    const partitions = found?.topics.find(({ name }) => name === topic)?.partitions ?? [];
    return new Map(
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0n)
        .map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]),
    );
  }

  async #find(topic: string): Promise<number> {
    const found = await this.#partitions(topic);
    if (found > 0) return found;
    if (this.#settings.topology === "check") throw topicMissing(topic, "this connection only checks");
    await this.#create(topic);
    return this.#awaited(topic, this.#settings.clock);
  }

  async #create(topic: string): Promise<void> {
    const { partitions, replicas, configs } = this.#settings.topic;
    const asked = {
      topics: [topic],
      partitions,
      replicas: replicas ?? -1,
      configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
    };
    // With its own number of replicas a cluster cannot mean that: it is short of brokers, as one is that has just started.
    const passing = replicas === undefined ? [...unheard, "INVALID_REPLICATION_FACTOR"] : unheard;
    try {
      await this.#patiently(() => this.#admin.createTopics(asked), passing);
    } catch (error) {
      if (isProtocolError(error, "TOPIC_ALREADY_EXISTS")) return;
      if (isProtocolError(error, ...unmakeable))
        throw topicMissing(topic, "could not make it with the settings that the connection has", error);
      throw error;
    }
  }

  /** A new topic is not known at once to every broker. */
  async #awaited(topic: string, clock: Clock): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      const found = await this.#partitions(topic);
      if (found > 0) return found;
      if (tries === patience.tries) throw topicMissing(topic, "does not show it, though it was made");
      await sleep(clock, patience.pause);
    }
  }

  /** 0 while the topic is not there, or has partitions without a leader. */
  async #partitions(topic: string): Promise<number> {
    try {
      const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true, retries: 0 });
      const { partitions = [] } = topics.get(topic) ?? {};
      return partitions.every(({ leader }) => leader >= 0) ? partitions.length : 0;
    } catch (error) {
      if (isUnknownTopic(error)) return 0;
      throw error;
    }
  }

  async #since(topic: string, partitions: readonly number[], timestamp: bigint, isolation: "committed" | "uncommitted"): Promise<Offsets> {
    const ends = await this.#at(topic, partitions, ListOffsetTimestamps.LATEST, isolation);
    const found = await this.#at(topic, partitions, timestamp, isolation);
    return new Map([...ends, ...[...found].filter(([, offset]) => offset >= 0n)]);
  }

  async #at(topic: string, partitions: readonly number[], timestamp: bigint, isolation: "committed" | "uncommitted"): Promise<Offsets> {
    const [listed] = await this.#patiently(() =>
      this.#admin.listOffsets({
        topics: [{ name: topic, partitions: partitions.map((partitionIndex) => ({ partitionIndex, timestamp })) }],
        isolationLevel: isolation === "committed" ? FetchIsolationLevels.READ_COMMITTED : FetchIsolationLevels.READ_UNCOMMITTED,
      }),
    );
    return new Map((listed?.partitions ?? []).map(({ partitionIndex, offset }) => [partitionIndex, offset]));
  }

  /** Asks again while a broker has not heard of what is there. */
  async #patiently<Answer>(ask: () => Promise<Answer>, passing: readonly string[] = unheard): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask();
      } catch (error) {
        if (tries === patience.tries || !isProtocolError(error, ...passing)) throw error;
        await sleep(this.#settings.clock, patience.pause);
      }
    }
  }
}

/** What a broker says that has not heard yet of a topic or of who leads its partitions, or has just begun to look after a group. */
const unheard = [
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_OR_FOLLOWER",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
];
/** What a commit without membership is answered with while a group has members. */
const foreignMembers = [
  "UNKNOWN_MEMBER_ID",
  "ILLEGAL_GENERATION",
  "REBALANCE_IN_PROGRESS",
  "STALE_MEMBER_EPOCH",
  "NON_EMPTY_GROUP",
  "GROUP_SUBSCRIBED_TO_TOPIC",
];
const unmakeable = ["INVALID_TOPIC_EXCEPTION", "INVALID_REPLICATION_FACTOR", "INVALID_CONFIG", "INVALID_PARTITIONS", "POLICY_VIOLATION"];

/** The client turns this error of the protocol into one of its own. */
function isUnknownTopic(error: unknown): boolean {
  return isProtocolError(error, "UNKNOWN_TOPIC_OR_PARTITION") || (error instanceof Error && error.message.startsWith("Unknown topic "));
}

function indexes(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
