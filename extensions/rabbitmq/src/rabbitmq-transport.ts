import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Clock, Logger, Message } from "event-driver";
import type {
  ConnectionFeatures,
  Sink,
  SubscribeRequest,
  Transport,
  TransportListener,
  TransportPublishOptions,
  TransportSubscription,
} from "event-driver/streams";
import type { AsyncMessage } from "rabbitmq-client";

import type { Link } from "./link.ts";
import type { Settings } from "./options.ts";

import { invalidOption } from "event-driver";

import { closed } from "./link.ts";
import { Locks } from "./locks.ts";
import { exchangeOf, queueOf, waitQueueOf } from "./names.ts";
import { Division } from "./partitions/division.ts";
import { PartitionedSubscription } from "./partitions/partitioned-subscription.ts";
import { type Destination, Publisher } from "./publisher.ts";
import { positions, recordOf, waitingRecord } from "./records.ts";
import { Subscription, type SubscriptionOptions } from "./subscription.ts";
import { busy, isDivided, isPassing, type Place, type RabbitmqNative, Topology } from "./topology.ts";

/** What a connection to RabbitMQ can do. With `partitions` or `singleActiveConsumer` its `keyOrder` is `"group"`. */
export const rabbitmqFeatures: ConnectionFeatures = {
  durable: true,
  transient: true,
  backfill: [],
  reset: true,
  serial: true,
  keyOrder: "subscription",
  ackWait: "none",
  delay: true,
  attempts: true,
  expiry: true,
};

export interface RabbitmqTransportOptions {
  readonly settings: Settings;
  readonly binding: Binding;
  /** What is consumed over. */
  readonly link: Link;
  readonly openLink: () => Link;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Milliseconds for which a wait queue is taken to be there: much less than it outlives its messages. */
const waitQueueLasts = 600_000;

/** Longer than this no broker waits; 24 days. */
const longestDelay = 2 ** 31 - 1;

/** Who of this connection has a queue, and the first of their requests. */
interface Holders {
  readonly request: SubscribeRequest<RabbitmqNative>;
  count: number;
  isAlone: boolean;
}

/**
 * Publishes over one connection of the client and consumes over another: a broker that is short of memory stops reading from those who publish, and must
 * still hear what is acknowledged.
 */
export class RabbitmqTransport implements Transport<RabbitmqNative> {
  readonly name = "RabbitMQ";
  readonly features: ConnectionFeatures;
  readonly keepsPublishOrder = true;
  readonly #options: RabbitmqTransportOptions;
  readonly #topology: Topology;
  readonly #locks: Locks;
  readonly #holders = new Map<string, Holders>();
  readonly #streams = new Map<string, Destination>();
  readonly #nextPosition = positions();
  #publishing: { readonly link: Link; readonly publisher: Publisher } | undefined;
  #listener: TransportListener | undefined;
  #isConnected = true;
  #closing: Promise<void> | undefined;

  constructor(options: RabbitmqTransportOptions) {
    const { topology, replicas, isOrdered, partitions, queueArguments } = options.settings;
    const { link } = options;
    this.features = isOrdered || partitions > 1 ? { ...rabbitmqFeatures, keyOrder: "group" } : rabbitmqFeatures;
    this.#options = options;
    this.#locks = new Locks(link);
    this.#topology = new Topology({ link, locks: this.#locks, topology, replicas, isOrdered, queueArguments });
    link.watch(() => this.#tellState());
  }

  observe(listener: TransportListener): void {
    this.#listener = listener;
  }

  publish(stream: string, message: Message, { signal, expiresAfter }: TransportPublishOptions): Promise<void> {
    try {
      const destination = expiresAfter === undefined ? this.#streamDestination(stream) : this.#keptDestination(stream);
      return this.#publisher().publish(
        destination,
        recordOf(message, this.#options.binding, { position: this.#nextPosition(), expiresAfter }),
        signal,
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async subscribe(request: SubscribeRequest<RabbitmqNative>, sink: Sink): Promise<TransportSubscription> {
    const { settings, binding, link, logger, clock } = this.#options;
    const { stream, name } = request;
    requireNative(request.native);
    const release = this.#hold(request);
    const options: SubscriptionOptions = {
      request,
      sink,
      link,
      topology: this.#topology,
      binding,
      servers: settings.servers,
      logger,
      clock,
      lagInterval: settings.lagInterval,
      isOrdered: settings.isOrdered,
      wait: (inbound, queue, delay, signal) => this.#wait(inbound, queue, delay, signal),
      onLag: (messages) => this.#listener?.lag({ stream, name, messages }),
      onLeft: release,
    };
    const subscription = this.#hasPartitions(request) ? this.#partitioned(options) : new Subscription(options);
    await subscription.open();
    return subscription;
  }

  /** One message after another, over all keys, needs one queue. */
  #hasPartitions({ exclusive }: SubscribeRequest<RabbitmqNative>): boolean {
    return this.#options.settings.partitions > 1 && !exclusive;
  }

  #partitioned(options: SubscriptionOptions): PartitionedSubscription {
    const { link, request } = options;
    const { stream, name } = request;
    return new PartitionedSubscription({
      ...options,
      locks: this.#locks,
      division: this.#division(link, request),
      onRebalance: (gained, lost) => this.#listener?.rebalance({ stream, name, gained: gained.map(String), lost: lost.map(String) }),
    });
  }

  #division(link: Link, place: Place): Division {
    const { topology: mode, partitions } = this.#options.settings;
    return new Division({ link, topology: this.#topology, mode, partitions, place });
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#listener = undefined;
    this.#publishing?.publisher.close();
    await Promise.all([this.#publishing?.link.close(), this.#options.link.close()]);
  }

  #publisher(): Publisher {
    const { settings, openLink, logger, clock } = this.#options;
    if (this.#closing !== undefined) throw closed(settings.servers);
    if (this.#publishing === undefined) {
      const link = openLink();
      link.watch(() => this.#tellState());
      this.#publishing = { link, publisher: new Publisher({ link, servers: settings.servers, logger, clock }) };
    }
    return this.#publishing.publisher;
  }

  #streamDestination(stream: string): Destination {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const exchange = exchangeOf(stream);
    const destination: Destination = {
      id: exchange,
      exchange,
      mandatory: this.#options.settings.unrouted === "refuse",
      prepare: async (link) => {
        await link.ask((channel) => this.#topology.needStream(channel, stream));
        await this.#needOwnNames(link, stream);
      },
    };
    this.#streams.set(stream, destination);
    return destination;
  }

  /** What is to be kept for a time, as dead letters are, needs a place where nobody has subscribed yet: the queue of the stream's own name. */
  #keptDestination(stream: string): Destination {
    const exchange = exchangeOf(stream);
    return {
      id: `${exchange}~kept`,
      exchange,
      mandatory: true,
      prepare: async (link) => {
        await this.#needUndivided(link, { stream, name: stream });
        await this.#needOwnNames(link, stream);
      },
    };
  }

  /**
   * A broker that has lost all it had lets both connections in again, and the one that publishes may be the first: without the names that this connection consumes,
   * what it publishes then would be gone.
   */
  async #needOwnNames(link: Link, stream: string): Promise<void> {
    const { settings, logger } = this.#options;
    if (settings.topology === "check") return;
    for (const { request } of this.#holders.values()) {
      if (request.stream !== stream) continue;
      try {
        await (this.#hasPartitions(request) ? this.#division(link, request).need() : this.#needUndivided(link, request));
      } catch (error) {
        if (isPassing(error)) throw error;
        // The subscription finds out, too, and says so to whoever has subscribed.
        logger.warn({ stream, name: request.name, err: error }, "a name that this connection consumes was not made before publishing");
      }
    }
  }

  async #needUndivided(link: Link, place: Place): Promise<void> {
    if (!(await isDivided(link, place))) await link.ask((channel) => this.#topology.needQueue(channel, place));
  }

  /** Has the record delivered to the queue again after `delay` milliseconds. There is a queue for each delay, so that none waits behind a longer one. */
  async #wait(inbound: AsyncMessage, queue: string, delay: number, signal: AbortSignal): Promise<void> {
    const step = delayStep(delay);
    const waitQueue = waitQueueOf(queue, step);
    const destination: Destination = {
      id: waitQueue,
      exchange: "",
      mandatory: true,
      lasts: waitQueueLasts,
      prepare: (link) => link.ask((channel) => this.#topology.needWaitQueue(channel, queue, step)),
    };
    await this.#publisher().publish(destination, waitingRecord(inbound, waitQueue), signal);
  }

  /**
   * Counts who of this connection has a name; the broker tells those of one connection not apart. Returns what takes the count back and says whether that
   * was the last one.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  #hold(request: SubscribeRequest<RabbitmqNative>): () => boolean {
    const queue = queueOf(request.stream, request.name);
    const holders = this.#holders.get(queue) ?? { request, count: 0, isAlone: false };
    if (holders.isAlone || (holders.count > 0 && (request.exclusive || request.reset))) throw busy(request);
    holders.count += 1;
    holders.isAlone = request.exclusive;
    this.#holders.set(queue, holders);
    return () => {
      holders.count -= 1;
      if (holders.count > 0) return false;
      this.#holders.delete(queue);
      return true;
    };
  }

  #tellState(): void {
    const isConnected = this.#options.link.isUp && (this.#publishing?.link.isUp ?? true);
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    this.#listener?.state({ state: isConnected ? "connected" : "reconnecting" });
  }
}

/** Rounded up to two digits, so that a name has some dozen wait queues at most, however its delays are made. */
function delayStep(delay: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(delay)) - 1);
  return Math.min(Math.ceil(delay / unit) * unit, longestDelay);
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
function requireNative({ priority = 0 }: RabbitmqNative = {}): void {
  if (!Number.isInteger(priority)) throw invalidOption("subscribe", "native.priority", priority, "a whole number");
}
