import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Handover, Inbound, Sink, SubscribeRequest } from "event-driver/streams";
import type { AsyncMessage, Channel } from "rabbitmq-client";

import type { Link } from "./link.ts";

import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";

import { queueOf } from "./names.ts";
import { attemptOf, positionOf, readRecord } from "./records.ts";
import { Settlements } from "./settlements.ts";
import { busy, type RabbitmqNative, type Topology } from "./topology.ts";

export interface SessionOptions {
  readonly request: SubscribeRequest<RabbitmqNative>;
  readonly sink: Sink;
  readonly link: Link;
  readonly topology: Topology;
  readonly binding: Binding;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Has the record delivered again after `delay` milliseconds; rejects when that is not certain. */
  readonly wait: (inbound: AsyncMessage, queue: string, delay: number, signal: AbortSignal) => Promise<void>;
  readonly onLag: (messages: number) => void;
}

/** Largest number of unsettled deliveries that AMQP can ask for. */
const largestPrefetch = 65_535;

/** One channel with one consumer, and what it was given and has not settled. When the channel ends all of that is lost at once. */
export class Session {
  readonly #options: SessionOptions;
  readonly #channel: Channel;
  readonly #queue: string;
  readonly #settlements: Settlements;
  /** What is not settled, by its delivery tag, and whom to tell when it is lost. */
  readonly #flights = new Map<number, Handover | undefined>();
  readonly #ended = new AbortController();
  /** What came before it was sure that it may. */
  #early: AsyncMessage[] | undefined = [];
  #consumerTag = "";
  #isStopped = false;

  constructor(options: SessionOptions, channel: Channel) {
    this.#options = options;
    this.#channel = channel;
    this.#settlements = new Settlements(channel);
    this.#queue = queueOf(options.request.stream, options.request.name);
  }

  /** Locks first and counts then, where the others consume first and look for a lock then: of two at once one sees the other. */
  async join(): Promise<void> {
    const { request, topology, link, onLag } = this.#options;
    if (request.exclusive) await topology.lock(link, request);
    const { messages, consumers } = await topology.needQueue(this.#channel, request);
    if (request.exclusive && consumers > 0) {
      await topology.unlock(link, request);
      throw busy(request);
    }
    await this.#channel.basicQos({ prefetchCount: Math.min(request.maxInFlight, largestPrefetch) });
    const { priority } = request.native ?? {};
    const { consumerTag } = await this.#channel.basicConsume(
      { queue: this.#queue, ...(priority !== undefined && { arguments: { "x-priority": priority } }) },
      (inbound) => this.#take(inbound),
    );
    this.#consumerTag = consumerTag;
    if (!request.exclusive) await topology.requireUnlocked(link, request);
    onLag(messages);
  }

  /** Hands over what has come, and what comes. Calls `onEnded` when the broker or the connection has ended it. */
  begin(onEnded: (error: unknown) => void): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const inbound of early) this.#take(inbound);
    const ended = (error: unknown): void => {
      if (this.#ended.signal.aborted) return;
      // What is given back comes before what the next session is given.
      void this.end().then(() => onEnded(error));
    };
    this.#channel.once("basic.cancel", (_consumerTag, error) => ended(error));
    this.#channel.once("close", () => ended(undefined));
    if (!this.#channel.active) ended(undefined);
  }

  /** How many messages wait in the queue. */
  async countWaiting(): Promise<number> {
    const { messageCount } = await this.#channel.queueDeclare({ queue: this.#queue, passive: true });
    return messageCount;
  }

  /** Hands over nothing more. The queue stays with this consumer, so that nobody else begins with what follows before it is done with what it has. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Gives back what is not settled, all at once and in its order. */
  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    for (const handover of this.#flights.values()) handover?.revoke(deliveryLost(this.#queue));
    this.#flights.clear();
    this.#settlements.flush();
    if (this.#channel.active) await this.#cancel();
    await this.#channel.close();
  }

  /**
   * The broker forgets acknowledgements that are on their way between its channel and its queue when the channel is closed. It answers a cancellation after it
   * has dealt with them.
   */
  async #cancel(): Promise<void> {
    const { request, link, logger } = this.#options;
    try {
      await link.answered(this.#channel.basicCancel(this.#consumerTag));
    } catch (error) {
      logger.warn({ stream: request.stream, name: request.name, err: error }, "the last messages that were done may be delivered again");
    }
  }

  #take(inbound: AsyncMessage): void {
    this.#settlements.delivered(inbound.deliveryTag);
    // What comes too late goes back when the channel ends.
    if (this.#isStopped || this.#ended.signal.aborted) return;
    if (this.#early !== undefined) return void this.#early.push(inbound);
    const { deliveryTag } = inbound;
    this.#flights.set(deliveryTag, undefined);
    const handover = this.#options.sink.deliver(this.#inboundOf(inbound));
    if (this.#flights.has(deliveryTag)) this.#flights.set(deliveryTag, handover);
  }

  #inboundOf(inbound: AsyncMessage): Inbound {
    const { request, binding } = this.#options;
    const { deliveryTag, timestamp } = inbound;
    return {
      ...readRecord(inbound, request.stream, binding),
      position: positionOf(inbound),
      attempt: attemptOf(inbound),
      publishedAt: timestamp === undefined ? undefined : timestamp * 1_000,
      ack: async () => {
        if (this.#flights.delete(deliveryTag)) await this.#settlements.ack(deliveryTag);
      },
      release: async ({ delay }) => {
        if (!this.#flights.delete(deliveryTag)) return;
        if (delay > 0) await this.#wait(inbound, Math.ceil(delay));
        else this.#giveBack(deliveryTag);
      },
    };
  }

  #giveBack(deliveryTag: number): void {
    // It would be delivered to this consumer again, which takes nothing any more; it goes back when the channel ends.
    if (!this.#isStopped) this.#settlements.giveBack(deliveryTag);
  }

  /** The copy that waits is at the broker before the original is acknowledged. */
  async #wait(inbound: AsyncMessage, delay: number): Promise<void> {
    const { request, logger } = this.#options;
    const { signal } = this.#ended;
    try {
      await this.#options.wait(inbound, this.#queue, delay, signal);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ stream: request.stream, name: request.name, err: error }, "a message could not wait at the broker and waits in memory");
      return void this.#giveBackAfter(inbound.deliveryTag, delay);
    }
    if (!signal.aborted) await this.#settlements.ack(inbound.deliveryTag);
  }

  async #giveBackAfter(deliveryTag: number, delay: number): Promise<void> {
    const { signal } = this.#ended;
    // The end of the channel ends the wait.
    await sleep(this.#options.clock, delay, signal).catch(() => {});
    if (!signal.aborted) this.#giveBack(deliveryTag);
  }
}

function deliveryLost(queue: string): EventDriverError {
  return new EventDriverError("ERR_DELIVERY_LOST", {
    message: `a message of queue ${quote(queue)} is no longer this subscription's: its channel has ended; it is delivered again`,
    retryable: true,
  });
}
