import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Sink, SubscribeRequest } from "event-driver/streams";
import type { AsyncMessage, Channel } from "rabbitmq-client";

import type { Link } from "./link.ts";
import type { Room, Waiting } from "./partitions/room.ts";
import type { RabbitmqNative } from "./topology.ts";

import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";
import { LinkedList } from "event-driver/streams";

import { Flight, type Settling } from "./flight.ts";
import { readRecord } from "./records.ts";
import { Settlements } from "./settlements.ts";

export interface SessionOptions {
  readonly request: SubscribeRequest<RabbitmqNative>;
  readonly sink: Sink;
  readonly link: Link;
  readonly binding: Binding;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Has the record delivered again after `delay` milliseconds; rejects when that is not certain. */
  readonly wait: (inbound: AsyncMessage, queue: string, delay: number, signal: AbortSignal) => Promise<void>;
}

/** What a session consumes, and how much of it. */
export interface SessionPlace {
  readonly queue: string;
  /** How many may be unsettled at the broker. */
  readonly prefetch: number;
  /** Whether the next one that consumes the queue must be given what this one gives back in its order. */
  readonly isOrdered: boolean;
  readonly partition?: string;
  /** Where several sessions share a bound. */
  readonly room?: Room;
}

/** Largest number of unsettled deliveries that AMQP can ask for. */
const largestPrefetch = 65_535;

/** One channel with one consumer, and what it was given and has not settled. When the channel ends all of that is lost at once. */
export class Session implements Waiting, Settling {
  readonly #options: SessionOptions;
  readonly #channel: Channel;
  readonly #place: SessionPlace;
  readonly #settlements: Settlements;
  /** What is not settled. */
  readonly #flights = new LinkedList<Flight>();
  readonly #ended = new AbortController();
  /** What came before it was sure that it may be handed over, or before there was room for it. */
  readonly #backlog: AsyncMessage[] = [];
  #hasBegun = false;
  #consumerTag = "";
  #isStopped = false;
  /** How many are on their way to a wait queue. */
  #departing = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: SessionOptions, channel: Channel, place: SessionPlace) {
    this.#options = options;
    this.#channel = channel;
    this.#place = place;
    this.#settlements = new Settlements(channel);
  }

  async consume(): Promise<void> {
    const { priority } = this.#options.request.native ?? {};
    const { queue, prefetch } = this.#place;
    await this.#channel.basicQos({ prefetchCount: Math.min(prefetch, largestPrefetch) });
    const { consumerTag } = await this.#channel.basicConsume(
      { queue, ...(priority !== undefined && { arguments: { "x-priority": priority } }) },
      (inbound) => this.#take(inbound),
    );
    this.#consumerTag = consumerTag;
  }

  /** Hands over what has come, and what comes. Calls `onEnded` when the broker or the connection has ended it. */
  begin(onEnded: (error: unknown) => void): void {
    this.#hasBegun = true;
    for (const inbound of this.#backlog.splice(0)) this.#offer(inbound);
    const ended = (error: unknown): void => {
      if (this.#ended.signal.aborted) return;
      // What is given back comes before what the next session is given.
      void this.end().then(() => onEnded(error));
    };
    this.#channel.once("basic.cancel", (_consumerTag, error) => ended(error));
    this.#channel.once("close", () => ended(undefined));
    if (!this.#channel.active) ended(undefined);
  }

  /** Hands over nothing more. The queue stays with this consumer, so that nobody else begins with what follows before it is done with what it has. */
  stop(): void {
    this.#isStopped = true;
    this.#place.room?.forget(this);
    // It goes back when the channel ends.
    this.#backlog.length = 0;
  }

  /** Stops, waits for what was handed over, not longer than `limit` milliseconds, and ends. */
  async finish(limit: number): Promise<void> {
    this.stop();
    if (!this.#isIdle && !this.#ended.signal.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(limit, resolve);
        this.#whenIdle = () => (cancel(), resolve());
      });
    }
    await this.end();
  }

  /** Gives back what is not settled, all at once and in its order. */
  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.stop();
    for (const { handover } of this.#flights.clear()) {
      handover?.revoke(deliveryLost(this.#place.queue));
      this.#place.room?.leave();
    }
    this.#whenIdle?.();
    this.#settlements.flush();
    if (this.#channel.active && !this.#place.isOrdered) await this.#cancel();
    await this.#channel.close();
  }

  /** How many messages wait in the queue. */
  async countWaiting(): Promise<number> {
    const { messageCount } = await this.#channel.queueDeclare({ queue: this.#place.queue, passive: true });
    return messageCount;
  }

  /** Tells the broker that it is done. */
  async ack(flight: Flight): Promise<void> {
    if (this.#settle(flight)) await this.#settlements.ack(flight.record.deliveryTag);
  }

  /** Has it delivered again. */
  async release(flight: Flight, delay: number): Promise<void> {
    if (!this.#flights.has(flight)) return;
    if (delay > 0) this.#departing += 1;
    this.#settle(flight);
    if (delay > 0) await this.#wait(flight.record, Math.ceil(delay));
    else this.#giveBack(flight.record.deliveryTag);
  }

  /** Called when there is room for one of those that wait for it. */
  proceed(): boolean {
    const next = this.#backlog.shift();
    if (next !== undefined) this.#handOver(next);
    return this.#backlog.length > 0;
  }

  /**
   * Under load the broker forgets acknowledgements that are on their way between its channel and its queue when the channel is closed. It answers a cancellation
   * after it has dealt with them. But what it has sent by then and this has not got it gives back at once, before all that goes back with the channel: where
   * the order counts, it is better to do the last ones again.
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
    if (!this.#isStopped) this.#offer(inbound);
  }

  #offer(inbound: AsyncMessage): void {
    const { room } = this.#place;
    const isNext = this.#hasBegun && this.#backlog.length === 0;
    if (isNext && (room === undefined || room.enter(this))) this.#handOver(inbound);
    else this.#backlog.push(inbound);
  }

  #handOver(inbound: AsyncMessage): void {
    const { request, binding, sink } = this.#options;
    const flight = new Flight(inbound, readRecord(inbound, request.stream, binding), this.#place.partition, this);
    this.#flights.add(flight);
    flight.handover = sink.deliver(flight);
  }

  /** Whether it was not settled before. */
  #settle(flight: Flight): boolean {
    if (!this.#flights.delete(flight)) return false;
    this.#place.room?.leave();
    this.#tellIdle();
    return true;
  }

  get #isIdle(): boolean {
    return this.#flights.size === 0 && this.#departing === 0;
  }

  #tellIdle(): void {
    if (this.#isIdle) this.#whenIdle?.();
  }

  #giveBack(deliveryTag: number): void {
    // It would be delivered to this consumer again, which takes nothing any more; it goes back when the channel ends.
    if (!this.#isStopped) this.#settlements.giveBack(deliveryTag);
  }

  /** The copy that waits is at the broker before the original is acknowledged. */
  async #wait(inbound: AsyncMessage, delay: number): Promise<void> {
    const { request, logger, wait } = this.#options;
    const { signal } = this.#ended;
    try {
      await wait(inbound, this.#place.queue, delay, signal);
      if (!signal.aborted) await this.#settlements.ack(inbound.deliveryTag);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ stream: request.stream, name: request.name, err: error }, "a message could not wait at the broker and waits in memory");
      void this.#giveBackAfter(inbound.deliveryTag, delay);
    } finally {
      this.#departing -= 1;
      this.#tellIdle();
    }
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
