import type { Binding } from "@event-driver/cloudevents/bindings";
import type { ConnectionPool, Consumer, Producer } from "@platformatic/kafka";
import type { Sink, SubscribeRequest, TransportListener, TransportSubscription } from "event-driver/streams";

import { randomUUID } from "node:crypto";

import type { KafkaNative, KafkaSettings } from "./options.ts";
import type { OutgoingRecord } from "./outgoing-record.ts";
import type { Topology } from "./topology.ts";
import type { Outbox } from "./transactions.ts";

import { fetchPool, groupConsumer, transactionalProducer } from "./clients.ts";
import { Deliveries, type Retries } from "./deliveries.ts";
import { fetchClient } from "./fetch-client.ts";
import { Fetcher } from "./fetcher.ts";
import { GroupMember, type Place } from "./group-member.ts";
import { Partition } from "./partition.ts";
import { TransactionCommitter } from "./transaction-committer.ts";

export interface SubscriptionOptions {
  readonly request: SubscribeRequest<KafkaNative>;
  readonly sink: Sink;
  readonly settings: KafkaSettings;
  readonly topology: Topology;
  readonly binding: Binding;
  readonly group: string;
  /** That of the stream first, and behind it the retry topics. */
  readonly topics: readonly [string, ...string[]];
  readonly retries: Retries | undefined;
  readonly listener: () => TransportListener | undefined;
  /** Told of each client that is made, to watch it. */
  readonly onClient: (client: Consumer | Producer) => void;
  readonly outbox: Outbox<OutgoingRecord>;
  readonly onClosed: (subscription: Subscription) => void;
}

/** A member of a group, what it fetches, and what it commits. */
export class Subscription implements TransportSubscription {
  readonly #options: SubscriptionOptions;
  readonly #consumer: Consumer;
  readonly #pool: ConnectionPool;
  readonly #member: GroupMember;
  readonly #transactions: TransactionCommitter | undefined;
  readonly #deliveries: Deliveries;
  readonly #fetcher: Fetcher;
  /** How many partitions each topic had when we joined. */
  readonly #counts = new Map<string, number>();
  #committing: Promise<void> = Promise.resolve();
  #cancelTick: () => void = () => {};
  #ending: Promise<void> | undefined;
  #lag = 0;
  #isCommitDue = false;

  constructor(options: SubscriptionOptions) {
    const { request, sink, settings, binding, topics, retries } = options;
    const { clock, logger, group } = settings;
    const isolation = request.native?.isolation ?? settings.fetch.isolation;
    this.#options = options;
    this.#consumer = groupConsumer(settings, options.group, request.native?.instanceId, () => this.#member.beforeJoin());
    this.#pool = fetchPool(settings);
    this.#transactions = request.native?.transactional === true ? this.#transactionsOf(this.#consumer) : undefined;
    this.#deliveries = new Deliveries({
      stream: request.stream,
      sink,
      binding,
      clock,
      maxInFlight: request.maxInFlight,
      retries,
      onMessage: this.#transactions && ((message) => options.outbox.open(message)),
      onAck: (partition, entry, message) => {
        if (this.#transactions === undefined) return this.#deliveries.finish(partition, entry);
        this.#transactions.add(partition, entry, message);
        this.#commitSoon();
      },
      refillBelow: Math.ceil(request.maxInFlight / 2),
      onRoom: () => this.#fetcher.wake(),
    });
    this.#fetcher = new Fetcher({
      client: fetchClient({
        consumer: this.#consumer,
        pool: this.#pool,
        topics,
        settings: { ...settings.fetch, isolation },
        rack: settings.clientOptions.clientRack ?? "",
      }),
      settings: { ...settings.fetch, isolation },
      ahead: request.maxInFlight,
      refillBelow: Math.ceil(request.maxInFlight / 2),
      clock,
      onRecords: (partition, records, next) => {
        partition.append(records, next);
        this.#deliveries.pump();
      },
      onOutOfRange: (partition) => void this.#reposition(partition),
      onPartitionCount: (topic, count) => this.#counted(topic, count),
      onError: (error) =>
        logger.warn({ stream: request.stream, name: request.name, err: error }, "Kafka did not answer a fetch; it is tried again"),
    });
    this.#member = new GroupMember({
      consumer: this.#consumer,
      topics,
      revokeGrace: group.revokeGrace,
      clock,
      logger,
      open: (places) => this.#open(places),
      onGained: (partitions) => {
        for (const partition of partitions) this.#deliveries.add(partition);
        this.#fetcher.add(partitions);
      },
      onRebalance: ({ gained, lost }) => {
        const { stream, name } = request;
        options.listener()?.rebalance({ stream, name, gained: gained.map(this.#shown), lost: lost.map(this.#shown) });
      },
      flush: () => this.#commit(),
    });
    options.onClient(this.#consumer);
  }

  async start(): Promise<void> {
    await this.#member.join();
    this.#tickLater();
  }

  async stop(): Promise<void> {
    this.#deliveries.stop();
    this.#fetcher.stop();
  }

  close(): Promise<void> {
    return (this.#ending ??= this.#close({ isStatic: this.#options.request.native?.instanceId !== undefined }));
  }

  async forget(): Promise<void> {
    await (this.#ending ??= this.#close({ isStatic: false }));
    const { topology, group, topics } = this.#options;
    await topology.forgetPositions(group, topics);
  }

  /** Never rejects: what the broker has not been told it finds out by itself. */
  async #close({ isStatic }: { readonly isStatic: boolean }): Promise<void> {
    const { request, topology, group, topics, onClosed } = this.#options;
    await this.stop();
    this.#cancelTick();
    await this.#attempt(this.#commit(), "the last of what is done was not committed and is done again");
    await this.#attempt(this.#member.leave({ isStatic }), "the group was not told that a subscription has left");
    await this.#attempt(Promise.all([this.#pool.close(), this.#transactions?.close()]), "the clients of a subscription were not closed");
    if (!request.durable) await this.#attempt(topology.forgetPositions(group, topics), "a position that is not durable was not removed");
    onClosed(this);
  }

  async #attempt(ending: Promise<unknown>, failure: string): Promise<void> {
    try {
      await ending;
    } catch (error) {
      this.#warn(error, failure);
    }
  }

  async #open(places: readonly Place[]): Promise<readonly Partition[]> {
    const { topology, group } = this.#options;
    const topics = [...new Set(places.map(({ topic }) => topic))];
    const committed = new Map(await Promise.all(topics.map(async (topic) => [topic, await topology.committed(group, topic)] as const)));
    return Promise.all(
      places.map(async ({ topic, index }) => {
        const start = committed.get(topic)?.get(index) ?? (await topology.earliest(topic, index));
        return new Partition({ topic, index, start });
      }),
    );
  }

  /** What was to be read is not there any more: goes on with the first that is. */
  async #reposition(partition: Partition): Promise<void> {
    const { topology } = this.#options;
    try {
      const first = await topology.earliest(partition.topic, partition.index);
      this.#warn(undefined, `partition ${partition.index} has nothing at offset ${partition.next} any more, and goes on at ${first}`);
      partition.append([], first);
      this.#fetcher.wake();
    } catch (error) {
      this.#warn(error, "the first offset of a partition was not found out; it is tried again");
    }
  }

  /** The client does not look for new partitions by itself. */
  #counted(topic: string, count: number): void {
    const known = this.#counts.get(topic) ?? count;
    this.#counts.set(topic, count);
    if (known === count) return;
    this.#options.topology.forget(topic);
    this.#member.join().catch((error: unknown) => this.#warn(error, "the group was not joined anew for partitions that were added"));
  }

  #transactionsOf(consumer: Consumer): TransactionCommitter {
    const { settings, topology, outbox, group, request, onClient } = this.#options;
    const transactionalId = `${group}/${request.native?.instanceId ?? randomUUID()}`;
    return new TransactionCommitter({
      consumer,
      newProducer() {
        const producer = transactionalProducer(settings, transactionalId);
        onClient(producer);
        return producer;
      },
      topology,
      topicOf: settings.topicOf,
      outputsOf: (message) => outbox.outputsOf(message),
      onCommitted: (partition, entry) => this.#deliveries.finish(partition, entry),
    });
  }

  #tickLater(): void {
    const { clock, group } = this.#options.settings;
    this.#cancelTick = clock.after(group.commitInterval, () => {
      this.#tellLag();
      this.#commit()
        .catch((error: unknown) => this.#warn(error, "what is done was not committed; it is tried again"))
        .finally(() => {
          if (this.#ending === undefined) this.#tickLater();
        });
    });
  }

  /** One after another, so that no position goes back. */
  #commit(): Promise<void> {
    const committed = this.#committing.then(() => this.#commitNow());
    this.#committing = committed.catch(() => {});
    return committed;
  }

  /** As much as comes until the transaction before has ended goes into one. */
  #commitSoon(): void {
    if (this.#isCommitDue) return;
    this.#isCommitDue = true;
    void this.#committing
      .then(() => {
        this.#isCommitDue = false;
        return this.#commit();
      })
      .catch((error: unknown) => this.#warn(error, "a transaction was not committed; it is tried again"));
  }

  async #commitNow(): Promise<void> {
    await this.#transactions?.commit();
    const news = this.#member.partitions.flatMap((partition) =>
      partition.news === undefined ? [] : [{ partition, offset: partition.news }],
    );
    if (news.length === 0) return;
    await this.#consumer.commit({
      offsets: news.map(({ partition: { topic, index }, offset }) => ({ topic, partition: index, offset, leaderEpoch: -1 })),
    });
    for (const { partition, offset } of news) partition.committed = offset;
  }

  #tellLag(): void {
    const { request, topics, listener } = this.#options;
    const { stream, name } = request;
    let messages = 0;
    for (const { topic, end, tracker } of this.#member.partitions)
      if (topic === topics[0] && end > tracker.position) messages += Number(end - tracker.position);
    if (messages === this.#lag) return;
    this.#lag = messages;
    listener()?.lag({ stream, name, messages });
  }

  /** Partitions of the stream by their number, those of retry topics with their topic. */
  readonly #shown = (name: string): string => {
    const [topic] = this.#options.topics;
    return name.startsWith(`${topic}/`) ? name.slice(topic.length + 1) : name;
  };

  #warn(error: unknown, text: string): void {
    const { request, settings } = this.#options;
    settings.logger.warn({ stream: request.stream, name: request.name, err: error }, text);
  }
}
