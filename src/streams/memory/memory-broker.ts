import type { Message } from "../../message.ts";
import type { Backfill } from "../subscribe-options.ts";

import { type Clock, systemClock } from "../../clock.ts";
import { EventDriverError, invalidOption, quote } from "../../errors.ts";
import { MemoryGroup } from "./memory-group.ts";
import { MemoryStream } from "./memory-stream.ts";

export interface MemoryBrokerOptions {
  /**
   * How many messages of a stream are kept for those who backfill, beside those that a name still needs.
   * @default 100_000
   */
  readonly history?: number;
  /**
   * What delays, ack waits and expiry are measured by. Give the connections the same.
   * @default systemClock
   */
  readonly clock?: Clock;
}

/** Streams and positions in memory. Opaque: what it holds is reached by connections. */
export interface MemoryBroker {
  readonly clock: Clock;
  /** How many messages are held in memory, of all streams. */
  readonly size: number;
}

/**
 * Streams in memory that several connections share, as processes share a broker.
 *
 * Use it in tests, to close or lose one connection and go on with another.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const broker = memoryBroker();
 * const [shop, billing] = [memoryConnection({ broker }), memoryConnection({ broker })];
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  return new MemoryStreams(options);
}

interface Topic {
  readonly stream: MemoryStream;
  readonly groups: Map<string, MemoryGroup>;
}

export class MemoryStreams implements MemoryBroker {
  readonly clock: Clock;
  readonly #history: number;
  readonly #topics = new Map<string, Topic>();

  constructor({ history = 100_000, clock = systemClock }: MemoryBrokerOptions) {
    if (history !== Infinity && !(Number.isInteger(history) && history >= 0))
      throw invalidOption("memoryBroker", "history", history, "a whole number from 0, or Infinity");
    this.clock = clock;
    this.#history = history;
  }

  get size(): number {
    return Array.from(this.#topics.values(), ({ stream }) => stream.size).reduce((sum, size) => sum + size, 0);
  }

  append(stream: string, message: Message, expiresAfter: number | undefined): void {
    this.#topic(stream).stream.append(message, expiresAfter);
  }

  /**
   * The group of that name, at the position that is asked for where it has none.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`, `ERR_INVALID_OPTION`
   */
  group(request: {
    readonly stream: string;
    readonly name: string;
    readonly durable: boolean;
    readonly backfill: Backfill;
    readonly reset: boolean;
    readonly exclusive: boolean;
  }): MemoryGroup {
    const { name, durable, backfill, reset, exclusive } = request;
    const { stream, groups } = this.#topic(request.stream);
    const group = groups.get(name);
    if (group !== undefined && (group.isExclusive || ((exclusive || reset) && group.members > 0))) throw busy(request.stream, name);
    if (group !== undefined && !reset) return group;
    const start = stream.positionOf(backfill);
    if (group !== undefined) stream.readers.delete(group);
    const fresh = new MemoryGroup({
      stream,
      clock: this.clock,
      start,
      durable,
      onForgotten: () => {
        stream.readers.delete(fresh);
        groups.delete(name);
      },
    });
    stream.readers.add(fresh);
    groups.set(name, fresh);
    return fresh;
  }

  #topic(name: string): Topic {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const topic: Topic = { stream: new MemoryStream(this.clock, this.#history), groups: new Map() };
    this.#topics.set(name, topic);
    return topic;
  }
}

function busy(stream: string, name: string): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `name ${quote(name)} of stream ${quote(stream)} has other subscriptions, and one of them all wants it alone; close the others or try again`,
    retryable: true,
  });
}
