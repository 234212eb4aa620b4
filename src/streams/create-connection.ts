import type { Logger } from "../context.ts";
import type { KeyParking, ParkingPlace } from "../pipeline/key-parking.ts";
import type { Connection, ConnectionState, PublishOptions, PublishSettlement, Target } from "./connection.ts";
import type { PullOptions, SubscribeOptions } from "./subscribe-options.ts";
import type { Sink, SubscribeRequest, Transport } from "./transport.ts";

import { type Clock, systemClock } from "../clock.ts";
import { liveSignal, silentLogger } from "../context.ts";
import { EventDriverError, invalidOption, quote } from "../errors.ts";
import { type Message, withAttributes } from "../message.ts";
import { batchWorker } from "./consume/batches.ts";
import { Consumer } from "./consume/consumer.ts";
import { PullQueue } from "./consume/pull.ts";
import { type ConsumeSettings, requestOf, requireStream, settingsOf } from "./consume/resolve-options.ts";
import { singleWorker, type Worker } from "./consume/work.ts";
import { Emitter } from "./emitter.ts";
import { endsWithin, goodbye } from "./ends-within.ts";
import { type Drainable, limitOf, openSubscription, type OpenSubscription } from "./open-subscription.ts";
import { type Propagated, requirePropagated, writePropagated } from "./propagation.ts";
import { Publisher } from "./publisher.ts";

export interface ConnectionOptions {
  /**
   * Context values that travel with messages: written to an attribute where a context is given to `publish`, and set again for the handler of what comes.
   * @default none
   */
  readonly propagate?: readonly Propagated[];
  /**
   * Who publishes: it becomes the attribute `client` of each message that has none.
   * @default none
   */
  readonly client?: string;
  /**
   * How many messages may wait for the broker's answer, or to be sent, before `publish` refuses more.
   * @default 10_000
   */
  readonly publishBuffer?: number;
  /**
   * How the keys of each subscription are parked that has an order by key and a dead-letter stream, unless its `deadLetter` says something else about it. Made by
   * `parkedKeysBySubscription` of `event-driver/dead-letters` over a store that all workers share.
   * @default none: nobody would remember what is parked
   */
  readonly parkKey?: (subscription: ParkingPlace) => KeyParking;
  /** @default silent */
  readonly logger?: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * A connection over the transport of one broker: puts in front of it what is the same for all of them.
 *
 * Use it when you write an adapter; otherwise use the adapter's own factory.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * export function redisConnection({ url, ...options }: RedisOptions): Connection {
 *   return createConnection(redisTransport(url), options);
 * }
 */
export function createConnection<Native>(transport: Transport<Native>, options: ConnectionOptions = {}): Connection<Native> {
  return new TransportConnection(transport, withDefaults(options));
}

interface ResolvedOptions extends Required<Omit<ConnectionOptions, "client" | "parkKey">> {
  readonly client: string | undefined;
  readonly parkKey: ConnectionOptions["parkKey"] | undefined;
}

function withDefaults(options: ConnectionOptions): ResolvedOptions {
  const { propagate = [], client, publishBuffer = 10_000, parkKey, logger = silentLogger, clock = systemClock } = options;
  requirePropagated(propagate);
  if (client !== undefined && (typeof client !== "string" || client === ""))
    throw invalidOption("createConnection", "client", client, "a string that is not empty");
  if (publishBuffer !== Infinity && !(Number.isInteger(publishBuffer) && publishBuffer >= 1))
    throw invalidOption("createConnection", "publishBuffer", publishBuffer, "a whole number from 1, or Infinity");
  if (parkKey !== undefined && typeof parkKey !== "function")
    throw invalidOption("createConnection", "parkKey", parkKey, "what parkedKeysBySubscription() of event-driver/dead-letters returns");
  return { propagate, client, publishBuffer, parkKey, logger, clock };
}

class TransportConnection<Native> implements Connection<Native> {
  readonly broker: string;
  readonly features: Connection<Native>["features"];
  readonly #transport: Transport<Native>;
  readonly #options: ResolvedOptions;
  readonly #emitter: Emitter;
  readonly #publisher: Publisher;
  readonly #subscriptions = new Set<OpenSubscription>();
  /** Subscriptions that the broker has not answered for yet. */
  readonly #opening = new Set<Promise<unknown>>();
  #state: ConnectionState = "connected";
  #closing: Promise<void> | undefined;

  constructor(transport: Transport<Native>, options: ResolvedOptions) {
    this.broker = transport.name;
    this.features = transport.features;
    this.#transport = transport;
    this.#options = options;
    this.#emitter = new Emitter(options.logger);
    this.#publisher = new Publisher({ transport, limit: options.publishBuffer });
    transport.observe?.({
      state: ({ state }) => this.#enter(state),
      lag: (details) => this.#emitter.emit("lag", details),
      rebalance: (details) => this.#emitter.emit("rebalance", details),
    });
  }

  publish(stream: string, message: Message, options: PublishOptions = {}): Promise<string> {
    try {
      requireStream("publish", "stream", stream);
      return this.#publish(stream, message, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async publishBatch(stream: string, messages: readonly Message[], options: PublishOptions = {}): Promise<readonly PublishSettlement[]> {
    requireStream("publishBatch", "stream", stream);
    const outcomes = await Promise.allSettled(messages.map((message) => this.publish(stream, message, options)));
    return outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? { status: "published", id: outcome.value } : { status: "failed", error: outcome.reason },
    );
  }

  async subscribe(stream: string, target: Target, options: SubscribeOptions<Native> = {}): Promise<OpenSubscription> {
    const { broker, features } = this;
    const request = requestOf("subscribe", { broker, features, stream, options });
    const settings = settingsOf({ broker, features, stream, options }, () => this.#options.parkKey?.(request));
    const worker = this.#workerFor(target, settings);
    const { clock, logger } = this.#options;
    const consumer = new Consumer({
      stream,
      name: request.name,
      clock,
      logger,
      emit: this.#emitter.emit,
      worker,
      limit: settings.batch === undefined ? settings.concurrency : request.maxInFlight,
      order: settings.order,
      extendEvery: this.#extendEvery(request),
      rules: settings.rules,
      deadLetter: settings.deadLetter,
      // Not through publish, which refuses when the connection closes: what is drained then must still find its place.
      putAside: (message, { stream: deadLetters, retention }) =>
        this.#publisher.publish(deadLetters, message, { signal: undefined, expiresAfter: retention }),
    });
    return this.#open(request, consumer);
  }

  async pull(stream: string, options: PullOptions<Native> = {}): ReturnType<Connection<Native>["pull"]> {
    const { broker, features } = this;
    const request = requestOf("pull", { broker, features, stream, options });
    const { clock, logger } = this.#options;
    const queue = new PullQueue({
      stream,
      name: request.name,
      clock,
      logger,
      emit: this.#emitter.emit,
      extendEvery: this.#extendEvery(request),
    });
    const subscription = await this.#open(request, queue);
    return Object.assign(subscription, { [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator]() });
  }

  status(): ReturnType<Connection["status"]> {
    return {
      state: this.#state,
      publishing: this.#publisher.pending,
      subscriptions: Array.from(this.#subscriptions, ({ stream, name, inFlight }) => ({ stream, name, inFlight })),
    };
  }

  on: Connection["on"] = (event, listener) => this.#emitter.on(event, listener);

  async close(options?: { readonly limit?: number }): Promise<void> {
    const limit = limitOf("close", options);
    await (this.#closing ??= this.#close(limit));
  }

  #publish(stream: string, message: Message, { context, signal }: PublishOptions): Promise<string> {
    if (this.#state === "closed") throw closed(this.broker, `message ${quote(message.id)} was not published`);
    if (typeof message.content !== "string" && !(message.content instanceof Uint8Array)) throw notStorable(message);
    const { propagate, client } = this.#options;
    const signed = client === undefined || message.attributes["client"] !== undefined ? message : withAttributes(message, { client });
    const given = context === undefined ? signed : writePropagated(signed, context, propagate);
    return this.#publisher.publish(stream, given, {
      signal: bothSignals(signal, context && liveSignal(context)),
      expiresAfter: undefined,
    });
  }

  #workerFor(target: Target, { batch, concurrency }: ConsumeSettings): Worker {
    const { clock, logger, propagate } = this.#options;
    if (typeof target !== "function" && typeof target?.process !== "function")
      throw invalidOption("subscribe", "target", target, "a pipeline, or a function");
    if (batch === undefined) return singleWorker({ target, clock, logger, propagate });
    if (typeof target === "function")
      throw invalidOption("subscribe", "batch", batch, "none where the target is a function; give it a pipeline");
    return batchWorker({ target, clock, logger, concurrency, ...batch });
  }

  #extendEvery({ ackWait }: SubscribeRequest<Native>): number | undefined {
    return ackWait !== undefined && this.features.ackWait === "extended" ? ackWait / 3 : undefined;
  }

  async #open(request: SubscribeRequest<Native>, consumer: Sink & Drainable): Promise<OpenSubscription> {
    const { clock, logger } = this.#options;
    this.#requireOpen(request.stream);
    const opening = this.#transport.subscribe(request, consumer);
    const opened = opening.then((transport) =>
      openSubscription({ request, transport, consumer, clock, logger, onEnded: (ended) => this.#subscriptions.delete(ended) }),
    );
    const answered = opened.then((subscription) => this.#subscriptions.add(subscription)).catch(() => {});
    this.#opening.add(answered);
    try {
      const subscription = await opened;
      await answered;
      this.#requireOpen(request.stream);
      return subscription;
    } finally {
      this.#opening.delete(answered);
    }
  }

  #requireOpen(stream: string): void {
    if (this.#closing !== undefined) throw closed(this.broker, `stream ${quote(stream)} was not subscribed to`);
  }

  /** Handlers may publish until the last one has ended; only then are messages refused. */
  async #close(limit: number): Promise<void> {
    this.#enter("closing");
    const { clock, logger } = this.#options;
    const giveUpAt = clock.now() + limit;
    await endsWithin(clock, limit, Promise.all(this.#opening));
    const endings = await Promise.allSettled(
      Array.from(this.#subscriptions, (subscription) => subscription.close({ limit: this.#left(giveUpAt) })),
    );
    this.#enter("closed");
    await endsWithin(clock, this.#left(giveUpAt), this.#publisher.idle());
    if (!(await endsWithin(clock, goodbye, this.#transport.close())))
      logger.warn({ broker: this.broker }, "the broker has not answered a goodbye");
    const failed = endings.find((ending) => ending.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #left(giveUpAt: number): number {
    return Math.max(0, giveUpAt - this.#options.clock.now());
  }

  #enter(state: ConnectionState): void {
    const isBehind = this.#closing !== undefined && state !== "closed";
    if (state === this.#state || isBehind) return;
    this.#state = state;
    this.#emitter.emit("state", { state });
  }
}

function bothSignals(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one === undefined || other === undefined ? (one ?? other) : AbortSignal.any([one, other]);
}

function closed(broker: string, what: string): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the connection to ${broker} is closed: ${what}; another process may do it`,
    retryable: true,
  });
}

function notStorable(message: Message): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `the content of message ${quote(message.id)} is neither text nor bytes; encode it before it is published`,
    retryable: false,
  });
}
