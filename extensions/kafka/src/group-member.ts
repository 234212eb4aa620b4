import type { Consumer, GroupAssignment } from "@platformatic/kafka";

import { type Clock, EventDriverError, type Logger, sleep } from "event-driver";

import type { Partition } from "./partition.ts";

import { brokerFailed, isProtocolError } from "./failures.ts";

/** A partition of a topic. */
export interface Place {
  readonly topic: string;
  readonly index: number;
}

export interface GroupMemberOptions {
  readonly consumer: Consumer;
  readonly topics: readonly string[];
  /** Milliseconds that handlers may finish in when their partition goes elsewhere. */
  readonly revokeGrace: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Finds out where to begin with partitions that have just become ours. */
  readonly open: (places: readonly Place[]) => Promise<readonly Partition[]>;
  readonly onGained: (partitions: readonly Partition[]) => void;
  /** Told of all that came and went at once, by name. */
  readonly onRebalance: (change: { readonly gained: readonly string[]; readonly lost: readonly string[] }) => void;
  /** Commits what is done, before partitions are given up. */
  readonly flush: () => Promise<void>;
}

/** Milliseconds before it is tried again to join, or to find out where to begin. */
const pauseAfterError = 500;

/**
 * A member of a consumer group: comes back for ever, and knows which partitions are ours.
 *
 * A partition that another member asks for is given up in an orderly way: nothing more is delivered of it, what runs may finish for a while and is
 * committed, and only then the group goes on. One that is lost because the group has given us up is gone at once, and nothing is committed for it.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #partitions = new Map<string, Partition>();
  /** Those that are ours, and whose beginning is being looked up. */
  readonly #opening = new Set<string>();
  /** Those that are ours until we join again. */
  readonly #leaving = new Map<string, Partition>();
  readonly #ended = new AbortController();
  /** Of the assignment that we act on. */
  #generation = -1;
  #joining: Promise<void> | undefined;

  constructor(options: GroupMemberOptions) {
    const { consumer, topics } = options;
    this.#options = options;
    consumer.topics.trackAll(...topics);
    consumer.on("consumer:group:join", () => this.#joined());
    consumer.on("consumer:group:rebalance", () => this.#compare());
    consumer.on("consumer:heartbeat:end", () => this.#compare());
    consumer.on("consumer:heartbeat:stalled", () => this.#loseAll("the group was not reached for too long"));
    consumer.on("error", (error: unknown) => this.#rejoin(error));
  }

  /** Those that are ours, those included that are being given up. */
  get partitions(): readonly Partition[] {
    return [...this.#partitions.values(), ...this.#leaving.values()];
  }

  /** Resolves when the group has taken us. */
  async join(): Promise<void> {
    this.#joining ??= this.#join().finally(() => (this.#joining = undefined));
    return this.#joining;
  }

  /** Called by the client before each time that it asks to be let in: the moment to give up what was revoked. */
  async beforeJoin(): Promise<void> {
    this.#compare();
    if (this.#leaving.size === 0) return;
    const { clock, revokeGrace, flush, logger } = this.#options;
    const until = clock.now() + revokeGrace;
    while (this.#isBusy() && clock.now() < until && !this.#ended.signal.aborted) await sleep(clock, Math.min(10, until - clock.now()));
    await flush().catch((error: unknown) =>
      logger.warn({ err: error }, "what was done of revoked partitions was not committed and is done again"),
    );
    for (const partition of this.#leaving.values()) lose(partition, "its partition went to another member of the group");
    this.#leaving.clear();
  }

  /**
   * Leaves, as far as the broker can be reached. What is not committed is given up. A static member says nothing: it may be back before the group goes on
   * without it.
   */
  async leave({ isStatic }: { readonly isStatic: boolean }): Promise<void> {
    const { consumer } = this.#options;
    this.#ended.abort();
    try {
      // The client says goodbye over the connection that it has, and never opens one for it.
      if (isStatic) await consumer.connections.close();
      await consumer.close(true);
    } finally {
      await consumer.connections.close();
      for (const partition of this.partitions) lose(partition, "its subscription has left");
      this.#partitions.clear();
      this.#leaving.clear();
    }
  }

  async #join(): Promise<void> {
    const { consumer, clock, logger } = this.#options;
    for (let tries = 1; !this.#ended.signal.aborted; tries += 1) {
      try {
        await consumer.joinGroup({});
        return;
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        const isTurmoil = isProtocolError(error, ...turmoil);
        if (!isTurmoil && isProtocolError(error, ...refusals)) throw brokerFailed(`group ${consumer.groupId}`, error);
        if (!isTurmoil) logger.warn({ group: consumer.groupId, tries, err: error }, "the group was not joined; it is tried again");
        await sleep(clock, isTurmoil ? 20 : pauseAfterError, this.#ended.signal).catch(() => {});
      }
    }
  }

  /** The client has given up, because of an error that it does not try again after. */
  #rejoin(error: unknown): void {
    const { logger, consumer } = this.#options;
    if (this.#ended.signal.aborted || this.#joining !== undefined) return;
    this.#compare();
    this.join().catch((reason: unknown) => {
      logger.error({ group: consumer.groupId, err: reason, after: error }, "the group cannot be joined any more; no messages come");
      this.#loseAll("the group cannot be joined");
    });
  }

  #joined(): void {
    this.#generation = this.#options.consumer.generationId;
    this.#compare();
  }

  /** Finds out what came and went since we looked last. */
  #compare(): void {
    const { consumer, onRebalance } = this.#options;
    if (this.#ended.signal.aborted) return;
    const assigned = namesOf(consumer.assignments ?? []);
    // A round of the group that only takes away has a new generation, and what it takes is ours until we join again.
    const isOrderly = consumer.generationId !== this.#generation;
    const lost = [...this.#partitions.keys(), ...this.#opening].filter((name) => !assigned.has(name));
    const gained = [...assigned.keys()].filter((name) => !this.#partitions.has(name) && !this.#opening.has(name));
    for (const name of lost) this.#take(name, isOrderly);
    void this.#open(new Map([...assigned].filter(([name]) => gained.includes(name))));
    if (gained.length > 0 || lost.length > 0) onRebalance({ gained, lost });
  }

  #take(name: string, isOrderly: boolean): void {
    const partition = this.#partitions.get(name);
    this.#partitions.delete(name);
    this.#opening.delete(name);
    if (partition === undefined) return;
    if (!isOrderly) return lose(partition, "the group has given us up");
    partition.leave();
    this.#leaving.set(name, partition);
  }

  /** Never rejects. */
  async #open(places: ReadonlyMap<string, Place>): Promise<void> {
    const { open, onGained, logger, clock } = this.#options;
    for (const name of places.keys()) this.#opening.add(name);
    for (;;) {
      const wanted = [...places].filter(([name]) => this.#opening.has(name)).map(([, place]) => place);
      if (wanted.length === 0 || this.#ended.signal.aborted) return;
      try {
        const opened = (await open(wanted)).filter((partition) => this.#opening.delete(nameOf(partition)));
        if (this.#ended.signal.aborted) return;
        for (const partition of opened) this.#partitions.set(nameOf(partition), partition);
        return onGained(opened);
      } catch (error) {
        logger.warn({ places: wanted, err: error }, "the positions of partitions were not found out; it is tried again");
        await sleep(clock, pauseAfterError, this.#ended.signal).catch(() => {});
      }
    }
  }

  #loseAll(why: string): void {
    const lost = [...this.#partitions.keys()];
    for (const partition of this.partitions) lose(partition, why);
    this.#partitions.clear();
    this.#leaving.clear();
    if (lost.length > 0) this.#options.onRebalance({ gained: [], lost });
  }

  #isBusy(): boolean {
    return [...this.#leaving.values()].some(({ unsettled }) => unsettled > 0);
  }
}

/** What is part of any rebalance, and over with the next try. */
const turmoil = ["REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "MEMBER_ID_REQUIRED"];
const refusals = [
  "GROUP_AUTHORIZATION_FAILED",
  "TOPIC_AUTHORIZATION_FAILED",
  "INVALID_SESSION_TIMEOUT",
  "INCONSISTENT_GROUP_PROTOCOL",
  "INVALID_GROUP_ID",
  "GROUP_MAX_SIZE_REACHED",
];

function namesOf(assignments: readonly GroupAssignment[]): Map<string, Place> {
  return new Map(assignments.flatMap(({ topic, partitions }) => partitions.map((index) => [nameOf({ topic, index }), { topic, index }])));
}

function nameOf({ topic, index }: Place): string {
  return `${topic}/${index}`;
}

function lose(partition: Partition, why: string): void {
  partition.lose(
    new EventDriverError("ERR_DELIVERY_LOST", {
      message: `a message of partition ${partition.index} of topic ${partition.topic} is no longer this subscription's: ${why}; it is delivered again`,
      retryable: true,
    }),
  );
}
