import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Admin, Producer } from "@platformatic/kafka";
import { invalidOption, type Message, type PassThrough, sleep } from "event-driver";
import type {
  ConnectionFeatures,
  Sink,
  SubscribeRequest,
  Transport,
  TransportListener,
  TransportPublishOptions,
} from "event-driver/streams";

import type { KafkaNative, KafkaSettings } from "./options.ts";
import type { OutgoingRecord } from "./outgoing-record.ts";

import { adminClient, publishingClient } from "./clients.ts";
import { brokerFailed, closedError, groupBusy, isRefusal, notTrusted } from "./failures.ts";
import { requireNative } from "./options.ts";
import { produceClient } from "./produce-client.ts";
import { RecordWriter } from "./record-writer.ts";
import { RetryTopics } from "./retry-topics.ts";
import { Subscription } from "./subscription.ts";
import { Topology } from "./topology.ts";
import { Outbox } from "./transactions.ts";
import { Watch } from "./watch.ts";

export interface KafkaTransportOptions {
  readonly settings: KafkaSettings;
  readonly features: ConnectionFeatures;
  readonly binding: Binding;
}

/** Streams over the topics of a Kafka cluster. */
export class KafkaTransport implements Transport<KafkaNative> {
  readonly name: string = "Kafka";
  readonly features: ConnectionFeatures;
  readonly keepsPublishOrder: boolean = true;
  readonly #options: KafkaTransportOptions;
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #topology: Topology;
  readonly #writer: RecordWriter;
  readonly #watch: Watch;
  readonly #outbox: Outbox<OutgoingRecord>;
  readonly #subscriptions = new Set<Subscription>();
  #listener: TransportListener | undefined;
  #isClosed = false;

  constructor(options: KafkaTransportOptions) {
    const { settings, features } = options;
    const { batchBytes, compression, clock, clientOptions } = settings;
    this.#options = options;
    this.features = features;
    this.#admin = adminClient(settings);
    this.#producer = publishingClient(settings);
    this.#topology = new Topology(this.#admin, settings);
    const client = produceClient({ producer: this.#producer, compression, timeout: clientOptions.timeout ?? replicasTimeout, clock });
    this.#writer = new RecordWriter({ client, topology: this.#topology, batchBytes, clock });
    this.#watch = new Watch({
      admin: this.#admin,
      clock,
      onState: (state) => this.#listener?.state({ state }),
    });
    this.#watch.add(this.#producer);
    this.#outbox = new Outbox((stream, message) => {
      if (typeof stream !== "string" || stream === "") throw invalidOption("publish", "stream", stream, "a string that is not empty");
      return { stream, record: outgoing(options.binding.write(message)) };
    });
  }

  /**
   * Resolves when a broker has answered. It is tried again until then, or until `signal` aborts.
   *
   * @throws the client's error, and as its own when a broker has refused us
   */
  async open(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.settings;
    for (;;) {
      try {
        await this.#admin.metadata({ topics: [], forceUpdate: true, retries: 0 });
        return;
      } catch (error) {
        if (signal.aborted || isRefusal(error) || notTrusted(this.#options.settings, error) !== undefined) throw error;
        await sleep(clock, pauseAfterError, signal).catch(() => {});
        if (signal.aborted) throw error;
      }
    }
  }

  /** A stage behind which {@link transactionOf} publishes. */
  transactional(): PassThrough {
    return this.#outbox.stage();
  }

  observe(listener: TransportListener): void {
    this.#listener = listener;
  }

  async publish(stream: string, message: Message, { signal }: Pick<TransportPublishOptions, "signal">): Promise<void> {
    const { binding, settings } = this.#options;
    await this.#writer.write(settings.topicOf(stream), outgoing(binding.write(message)), signal);
  }

  async subscribe(request: SubscribeRequest<KafkaNative>, sink: Sink): Promise<Subscription> {
    if (this.#isClosed) throw closedError(`stream ${request.stream} was not subscribed to`);
    if (request.native !== undefined) requireNative(request.native);
    const { settings, binding } = this.#options;
    const { clock, logger } = settings;
    const topic = settings.topicOf(request.stream);
    const retryTopics = this.#retryTopics(request);
    const group = `${settings.groupOf(request.stream, request.name)}${request.durable ? "" : "/transient"}`;
    const subscription = new Subscription({
      request,
      sink,
      settings,
      topology: this.#topology,
      binding,
      group,
      topics: [topic, ...retryTopics],
      retries:
        retryTopics.length === 0 ? undefined : new RetryTopics({ ...request, topics: retryTopics, writer: this.#writer, clock, logger }),
      listener: () => this.#listener,
      onClient: (client) => this.#watch.add(client),
      outbox: this.#outbox,
      onClosed: (closed) => this.#subscriptions.delete(closed),
    });
    this.#subscriptions.add(subscription);
    try {
      await Promise.all([topic, ...retryTopics].map((each) => this.#topology.require(each)));
      await this.#begin(request, topic, group);
      // What is in there of an earlier life of this name was forgotten with it.
      for (const each of retryTopics) await this.#begin({ ...request, backfill: false }, each, group);
      await subscription.start();
      return subscription;
    } catch (error) {
      await subscription.close();
      throw brokerFailed(`stream ${request.stream} was not subscribed to`, error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.close();
    await Promise.all(Array.from(this.#subscriptions, (subscription) => subscription.close()));
    this.#writer.close();
    await Promise.all([this.#producer.close(true), this.#admin.close()]);
  }

  #retryTopics({ stream, name }: { readonly stream: string; readonly name: string }): readonly string[] {
    const { topicOf, retryTopics } = this.#options.settings;
    if (retryTopics === undefined) return [];
    const topics = Array.from({ length: retryTopics.count }, (_, index) => topicOf(retryTopics.streamOf({ stream, name, n: index + 1 })));
    if (topics.includes(topicOf(stream)))
      throw invalidOption("subscribe", "retryTopics.streamOf", stream, "a function that gives other streams than the one subscribed to");
    return [...new Set(topics)];
  }

  /** Sees to it that the group has a position from which it gets everything that is published from now on. */
  async #begin(
    { stream, name, durable, backfill, reset, native }: SubscribeRequest<KafkaNative>,
    topic: string,
    group: string,
  ): Promise<void> {
    const isolation = native?.isolation ?? this.#options.settings.fetch.isolation;
    const isFresh = reset || !durable;
    if (!isFresh && (await this.#topology.hasPosition(group, topic))) return;
    const isSet = await this.#topology.setPositions(group, topic, await this.#topology.starts(topic, backfill, isolation));
    // Otherwise it has members, and whoever joined first has seen to it.
    if (!isSet && reset) throw groupBusy(stream, name, undefined);
  }
}

/** Milliseconds. */
const pauseAfterError = 100;
/** Milliseconds that replicas have to get what was published. */
const replicasTimeout = 5_000;

function outgoing({ headers, key, body }: ReturnType<Binding["write"]>): OutgoingRecord {
  return { key, value: body, headers };
}
