import type { Clock, Message } from "event-driver";
import type { Handover, Inbound } from "event-driver/streams";

import { EventDriverError, quote } from "event-driver";

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

/** `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<of the consumer>.<time>.<pending>`; newer servers put a domain and an account in front, and more behind. */
export function deliveryInfo(reply: string): DeliveryInfo {
  const tokens = reply.split(".");
  const first = tokens.length === 9 ? 4 : 6;
  return {
    attempt: Number(tokens[first]),
    sequence: Number(tokens[first + 1]),
    delivery: Number(tokens[first + 2]),
    publishedAt: Math.floor(Number(tokens[first + 3]) / 1_000_000),
    pending: Number(tokens[first + 4]),
  };
}

/** What becomes of a delivery. */
export interface Settling {
  ack(flight: Flight): Promise<void>;
  release(flight: Flight, delay: number): Promise<void>;
  extend(flight: Flight): Promise<void>;
}

/** One delivery that is not settled. */
export class Flight implements Inbound {
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
  readonly #flying = new Set<Flight>();
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
    const [first] = this.#flying;
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
