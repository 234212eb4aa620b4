import type { Clock, Message } from "event-driver";

import { EventDriverError, quote } from "event-driver";
import { type Handover, type Inbound, LinkedList, type Listed } from "event-driver/streams";

/** What a delivery says of itself, in the subject that it is acknowledged on. */
export interface DeliveryInfo {
  /** 1 for the first. */
  readonly attempt: number;
  /** Its place in the stream. */
  readonly sequence: number;
  /** Which delivery of its position it is, counted from 1: each one counts, also of what was delivered before. */
  readonly delivery: number;
  /** Epoch milliseconds. */
  readonly publishedAt: number;
  /** How many messages of the position come behind it. */
  readonly pending: number;
}

/** What every word on a delivery is sent to begins with; what the broker says of a request for messages has no such subject. */
export const ackPrefix = "$JS.ACK.";

/**
 * `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<of the consumer>.<time>.<pending>`; newer servers put a domain and an account in front of the stream, and more
 * behind.
 */
export function deliveryInfo(reply: string): DeliveryInfo {
  const dots: number[] = [];
  for (let dot = reply.indexOf("."); dot !== -1; dot = reply.indexOf(".", dot + 1)) dots.push(dot);
  dots.push(reply.length);
  const first = dots.length === 9 ? 3 : 5;
  return {
    attempt: numberIn(reply, dots[first], dots[first + 1]),
    sequence: numberIn(reply, dots[first + 1], dots[first + 2]),
    delivery: numberIn(reply, dots[first + 2], dots[first + 3]),
    // Of nanoseconds, more of them than a number holds.
    publishedAt: numberIn(reply, dots[first + 3], (dots[first + 4] ?? 0) - 6),
    pending: numberIn(reply, dots[first + 4], dots[first + 5]),
  };
}

/** The digits between a dot and the next one: to make text of them first takes longer than the rest. */
function numberIn(text: string, dot = 0, end = 0): number {
  let number = 0;
  for (let at = dot + 1; at < end; at += 1) number = number * 10 + text.charCodeAt(at) - 48;
  return number;
}

/** What becomes of a delivery. */
export interface Settling {
  ack(flight: Flight): Promise<void>;
  release(flight: Flight, delay: number): Promise<void>;
  extend(flight: Flight): Promise<void>;
}

/** One delivery that is not settled. */
export class Flight implements Inbound, Listed<Flight> {
  readonly message: Message;
  readonly failure: unknown;
  /** Its place in the stream. */
  readonly sequence: number;
  readonly partition: string | undefined;
  readonly attempt: number;
  readonly publishedAt: number;
  readonly ackTime: number;
  /** Where a word on it is sent to. */
  readonly reply: string;
  /** Epoch milliseconds at which the broker takes it back. */
  endsAt: number;
  /** Whom to tell when it is lost. */
  handover: Handover | undefined;
  list: unknown;
  before: Flight | undefined;
  after: Flight | undefined;
  readonly #settling: Settling;

  constructor(
    record: { readonly message: Message; readonly failure?: unknown },
    from: {
      readonly reply: string;
      readonly info: DeliveryInfo;
      readonly endsAt: number;
      readonly partition?: string | undefined;
      readonly settling: Settling;
    },
  ) {
    const { reply, info, endsAt, partition, settling } = from;
    this.message = record.message;
    this.failure = record.failure;
    this.sequence = info.sequence;
    this.partition = partition;
    this.attempt = info.attempt;
    this.publishedAt = info.publishedAt;
    this.ackTime = endsAt;
    this.reply = reply;
    this.endsAt = endsAt;
    this.#settling = settling;
  }

  get position(): string {
    return String(this.sequence);
  }

  /** The broker has it, or will have it. */
  lose(why: string): void {
    this.handover?.revoke(
      new EventDriverError("ERR_DELIVERY_LOST", {
        message: `message ${quote(this.message.id)} is no longer this subscription's: ${why}; it is delivered again`,
        retryable: true,
      }),
    );
  }

  ack(): Promise<void> {
    return this.#settling.ack(this);
  }

  release({ delay }: { readonly delay: number }): Promise<void> {
    return this.#settling.release(this, delay);
  }

  extend(): Promise<void> {
    return this.#settling.extend(this);
  }
}

export interface FlightsOptions {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly ackWait: number;
  /** There is room for another one. */
  readonly onLanded: () => void;
}

/** The deliveries that are not settled, and the clock that takes them back as the broker does. */
export class Flights {
  readonly #options: FlightsOptions;
  /** What the broker takes back first is in front. */
  readonly #flying = new LinkedList<Flight>();
  #cancelTimer: (() => void) | undefined;

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#flying.size;
  }

  /** The first message of the stream that is not settled. */
  get first(): number {
    return Math.min(...this.positions);
  }

  /** Where in the stream they are. */
  get positions(): ReadonlySet<number> {
    return new Set(Array.from(this.#flying, ({ sequence }) => sequence));
  }

  has(flight: Flight): boolean {
    return this.#flying.has(flight);
  }

  add(flight: Flight): void {
    this.#flying.add(flight);
    this.#watch();
  }

  /** Takes it out; `false` when that was done before. */
  land(flight: Flight): boolean {
    if (!this.#flying.delete(flight)) return false;
    this.#options.onLanded();
    return true;
  }

  /** The broker waits another whole ack wait for it, from a time on. */
  extend(flight: Flight, from: number): void {
    if (!this.#flying.delete(flight)) return;
    flight.endsAt = from + this.#options.ackWait;
    this.#flying.add(flight);
  }

  /** Takes all of them out. */
  clear(): readonly Flight[] {
    this.#cancelTimer?.();
    return [...this.#flying].filter((flight) => this.land(flight));
  }

  #watch(): void {
    if (this.#cancelTimer !== undefined) return;
    const { first } = this.#flying;
    if (first === undefined) return;
    const { clock } = this.#options;
    this.#cancelTimer = clock.after(Math.max(1, first.endsAt - clock.now()), () => {
      this.#cancelTimer = undefined;
      this.#takeBack();
      this.#watch();
    });
  }

  #takeBack(): void {
    const now = this.#options.clock.now();
    for (const flight of this.#flying) {
      if (flight.endsAt > now) return;
      this.land(flight);
      flight.lose("its ack wait is over");
    }
  }
}
