import type { Message } from "event-driver";
import type { Inbound } from "event-driver/streams";
import type { Msg } from "@nats-io/transport-node";

/** What a delivery says of itself, in the subject that it is acknowledged on. */
export interface DeliveryInfo {
  /** 1 for the first. */
  readonly attempt: number;
  readonly sequence: string;
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
    sequence: tokens[first + 1] ?? "",
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
  readonly position: string;
  readonly attempt: number;
  readonly publishedAt: number;
  readonly ackTime: number;
  /** Where a word on it is sent to. */
  readonly reply: string;
  /** Epoch milliseconds at which the broker takes it back. */
  endsAt: number;
  readonly #settling: Settling;
  readonly #lost = new AbortController();

  constructor(
    record: { readonly message: Message; readonly failure?: unknown },
    from: { readonly msg: Msg; readonly info: DeliveryInfo; readonly endsAt: number; readonly settling: Settling },
  ) {
    const { msg, info, endsAt, settling } = from;
    this.message = record.message;
    this.failure = record.failure;
    this.position = info.sequence;
    this.attempt = info.attempt;
    this.publishedAt = info.publishedAt;
    this.ackTime = endsAt;
    this.reply = msg.reply ?? "";
    this.endsAt = endsAt;
    this.#settling = settling;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  lose(reason: unknown): void {
    this.#lost.abort(reason);
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
