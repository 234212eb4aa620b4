import type { Message } from "../message.ts";
import type { ConnectionEvents, ConnectionFeatures } from "./connection.ts";
import type { Backfill } from "./subscribe-options.ts";

export interface TransportPublishOptions {
  readonly signal: AbortSignal | undefined;
  /** Milliseconds after which the broker may remove the message; only given where `features.expiry` is true. */
  readonly expiresAfter: number | undefined;
}

/** What a subscriber wants, complete and checked against `features`. */
export interface SubscribeRequest<Native> {
  readonly stream: string;
  readonly name: string;
  readonly durable: boolean;
  readonly backfill: Backfill;
  readonly reset: boolean;
  /** Nobody else may have the name as long as this lasts. */
  readonly exclusive: boolean;
  /** Milliseconds after which an unsettled delivery is taken back; `undefined` where `features.ackWait` is `"none"`. */
  readonly ackWait: number | undefined;
  readonly maxInFlight: number;
  /** Whether the messages of a key must not overtake each other. */
  readonly isOrdered: boolean;
  readonly native: Native | undefined;
}

/** One record as the broker hands it over. It must be settled once, by `ack` or `release`. */
export interface Inbound {
  /** What the record says; its bytes as they are where it is no message. */
  readonly message: Message;
  /** Why the record is no message. It is never given to a handler. */
  readonly failure?: unknown;
  readonly position: string;
  readonly partition?: string | undefined;
  /** 1 for the first delivery, one more for each further one. Where `features.attempts` is false it need not be right after a restart. */
  readonly attempt: number;
  /** Epoch milliseconds. */
  readonly publishedAt?: number | undefined;
  /** Epoch milliseconds, by the broker's clock or near it. */
  readonly ackTime?: number | undefined;
  /**
   * Done. Resolves when the broker knows it. Where it answers no acknowledgement, or is told of many at once, it resolves before that; then the subscription's
   * `close` tells the broker of all that was acknowledged before it leaves.
   */
  ack(): Promise<void>;
  /** Not done. To be delivered again, to whomever: after `delay` milliseconds where `features.delay` is true, else as soon as it suits. */
  release(options: { readonly delay: number }): Promise<void>;
  /** Asks for another whole ack wait. */
  extend?(): Promise<void>;
}

/** A delivery in the hands of whoever handles it. A transport that can lose one keeps this until it is settled. */
export interface Handover {
  /** The delivery is no longer ours: the connection was lost, its partition went elsewhere, the ack wait is over. Does nothing once it was settled. */
  revoke(reason: unknown): void;
}

/** Where a transport hands over what comes. */
export interface Sink {
  /** Returns at once; the delivery may have been settled by then. */
  deliver(inbound: Inbound): Handover;
  /** The broker ended the subscription. Nothing follows. */
  lost(error: unknown): void;
}

export interface TransportSubscription {
  /** After it has resolved nothing more is delivered; what was can still be settled and extended. */
  stop(): Promise<void>;
  /** Leaves. The position stays, and what is unsettled belongs to others again. */
  close(): Promise<void>;
  /** Leaves; when nobody else has the name, its position is removed. */
  forget(): Promise<void>;
}

/** The events that a transport is the first to know. */
export type TransportEvents = Pick<ConnectionEvents, "lag" | "rebalance"> & {
  readonly state: { readonly state: "connected" | "reconnecting" };
};

export type TransportListener = { readonly [Name in keyof TransportEvents]: (details: TransportEvents[Name]) => void };

/**
 * What an adapter for one broker implements; `createConnection` puts in front of it all that is the same for every broker: order, retries, dead letters,
 * extension, drain.
 *
 * - A message comes back as it was published: every part, bytes as bytes and text as text. Any well-formed string but the empty one is a stream.
 * - `publish` resolves when the broker has the message, and rejects when that is not certain. It is called for the next message of a key after the one
 *   before has been answered, unless `keepsPublishOrder` says that this is not needed.
 * - `deliver` is called in the order of the stream for each key, as far as `features.keyOrder` says. What was released without delay, or not settled, comes
 *   before what follows it.
 * - Everything published after `subscribe` has resolved is delivered to each name, at least once, until it is acknowledged. Acknowledging a message says
 *   nothing of those before it.
 * - At most `maxInFlight` deliveries of a subscription are unsettled. `deliver` may be called before `subscribe` has resolved.
 * - A delivery is unsettled until `ack` or `release` was called, it was revoked or the subscription has left. Settling it later, or again, does nothing.
 * - `attempt` grows with each delivery of the same message, whoever has it.
 * - `release` with a delay delivers again not sooner than that.
 * - `subscribe` rejects with `ERR_SUBSCRIPTION_BUSY`, retryable, when the name is taken alone, or when it is wanted alone or reset while others have it.
 * - `stop`, `close` and `forget` are idempotent. `close` of the transport is too; it closes only what the adapter opened.
 */
export interface Transport<Native = never> {
  /** The broker's name, for errors and logs. */
  readonly name: string;
  readonly features: ConnectionFeatures;
  /**
   * Whether calls of `publish` for one key land in the order they were made, even while others are not answered.
   * @default false
   */
  readonly keepsPublishOrder?: boolean;
  publish(stream: string, message: Message, options: TransportPublishOptions): Promise<void>;
  subscribe(request: SubscribeRequest<Native>, sink: Sink): Promise<TransportSubscription>;
  /** Tells `listener` what happens from now on, until the transport is closed. */
  observe?(listener: TransportListener): void;
  close(): Promise<void>;
}
