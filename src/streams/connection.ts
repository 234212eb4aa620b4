import type { Context } from "../context.ts";
import type { Message } from "../message.ts";
import type { Processor } from "../pipeline/pipeline.ts";
import type { Delivery } from "./delivery.ts";
import type { PullOptions, SubscribeOptions } from "./subscribe-options.ts";

/** From where a position that does not exist yet can start, beside "with what comes from now on", which every broker can. */
export type BackfillStart = "all" | "time" | "position";

/** What a broker can do. Asking for anything else fails when it is asked for, with `ERR_UNSUPPORTED`. */
export interface ConnectionFeatures {
  /** Whether a position outlives the connection. */
  readonly durable: boolean;
  /** Whether there are positions that end with their last subscription. */
  readonly transient: boolean;
  readonly backfill: readonly BackfillStart[];
  /** Whether a position can be put back to the start. */
  readonly reset: boolean;
  /** Whether one subscription can have a name for itself alone. */
  readonly serial: boolean;
  /**
   * How far one key stays in order: over all subscriptions of a name, within each one by itself because several may work on one key at the same time,
   * or not at all.
   */
  readonly keyOrder: "group" | "subscription" | "none";
  /** Whether the broker takes a message back after some time, and whether that time can be extended. */
  readonly ackWait: "extended" | "fixed" | "none";
  /** Whether the broker itself can wait before it delivers a message again. Where not, failed messages wait in memory. */
  readonly delay: boolean;
  /** Whether the broker counts deliveries, so that `attempt` survives a restart. */
  readonly attempts: boolean;
  /** Whether single messages can expire. */
  readonly expiry: boolean;
}

export interface PublishOptions {
  /** Where the values that the connection propagates are read from, and whose signal gives up. Give the one of the handler that publishes. */
  readonly context?: Context | undefined;
  /** Aborting rejects the call; the message may have been published all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** How one message of a batch was published. */
export type PublishSettlement =
  | { readonly status: "published"; readonly id: string }
  | { readonly status: "failed"; readonly error: unknown };

/** What works on messages: a pipeline, or a function. When it resolves the message is done; when it rejects it is not. */
export type Target = Pick<Processor, "process" | "processBatch"> | ((ctx: Context, message: Message) => Promise<void>);

export interface CloseOptions {
  /**
   * How many milliseconds to wait for what is being worked on. Then its signal aborts, and the broker is told to deliver it again.
   * @default 30_000
   */
  readonly limit?: number;
}

/**
 * One subscriber of a stream.
 *
 * Both ways of ending it finish what is being worked on and give back what has not begun. The first call decides; a handler must not wait for
 * either, for it would wait for itself.
 */
export interface Subscription {
  readonly stream: string;
  readonly name: string;
  /** Ends it and forgets the position of its name, unless others are subscribed under that. */
  unsubscribe(options?: CloseOptions): Promise<void>;
  /** Ends it and keeps the position: whoever subscribes next under that name goes on from here. */
  close(options?: CloseOptions): Promise<void>;
}

/** A delivery that waits for a word on it. */
export interface PullDelivery extends Delivery {
  /** Why a record is no message: `message` then holds its bytes as they are. Absent for every other. */
  readonly failure?: unknown;
  /** Aborts when the delivery is no longer ours: another one will have it. */
  readonly signal: AbortSignal;
  /** It is done. */
  ack(): Promise<void>;
  /** It is not done, and is to be delivered again: after `delay` milliseconds where the broker can wait. */
  nack(options?: { readonly delay?: number }): Promise<void>;
  /** Asks for another whole ack wait. Does nothing where the broker takes nothing back. */
  extend(): Promise<void>;
}

/**
 * A subscription to loop over. Each delivery has to be settled; at most `maxInFlight` are out at a time.
 *
 * Leaving the loop ends nothing: loop again, or close it.
 */
export interface PullSubscription extends Subscription, AsyncIterable<PullDelivery> {}

export type ConnectionState = "connected" | "reconnecting" | "closing" | "closed";

export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** How many messages wait for the broker's answer, or to be sent. */
  readonly publishing: number;
  readonly subscriptions: readonly {
    readonly stream: string;
    readonly name: string;
    /** How many messages were handed over and are not settled yet. */
    readonly inFlight: number;
  }[];
}

/** What a connection tells of itself, by name. */
export interface ConnectionEvents {
  /** It lost the broker, or has it again. */
  readonly state: { readonly state: ConnectionState };
  /** How many messages a name has before it, where the broker tells. */
  readonly lag: { readonly stream: string; readonly name: string; readonly messages: number };
  /** Partitions came and went. */
  readonly rebalance: {
    readonly stream: string;
    readonly name: string;
    readonly gained: readonly string[];
    readonly lost: readonly string[];
  };
  /** A message failed, and what becomes of it. */
  readonly failure: {
    readonly stream: string;
    readonly name: string;
    readonly id: string;
    readonly attempt: number;
    readonly error: unknown;
    readonly next: "retry" | "dead letter";
  };
  /** The broker ended a subscription; nothing more will come. Subscribe again. */
  readonly lost: { readonly stream: string; readonly name: string; readonly error: unknown };
}

/**
 * Publishes to the streams of a broker and subscribes to them. The same for every broker; what one of them cannot do is an error, never a silent
 * difference.
 *
 * - Any well-formed string but the empty one is a stream.
 * - `publish` resolves with the message's id when the broker has the message as durably as it can.
 * - Messages of one key are published in the order of the calls.
 * - Delivery is at least once: a message is acknowledged after its handler has finished, and delivered again when that failed or the process died.
 * - Subscriptions of one name share the work; each name by itself gets every message.
 * - At most `maxInFlight` messages of a subscription are unsettled.
 * - A message that keeps failing goes to the dead-letter stream; without one it is tried for ever, and never dropped.
 * - `close` ends all subscriptions, lets handlers finish and publish, waits for what is being published, and is idempotent; calls after it reject with
 *   `ERR_CONNECTION_CLOSED`, retryable.
 */
export interface Connection<Native = never> {
  /** Of which broker, for errors and logs. */
  readonly broker: string;
  readonly features: ConnectionFeatures;
  /**
   * @throws EventDriverError `ERR_PUBLISH_FAILED`, retryable: the broker may have it all the same; `ERR_OVERLOADED`, retryable, when too many wait already;
   * `ERR_INVALID_MESSAGE` when its content is neither text nor bytes
   */
  publish(stream: string, message: Message, options?: PublishOptions): Promise<string>;
  /** Settles each message by itself, in the order given. Rejects only for bad arguments. */
  publishBatch(stream: string, messages: readonly Message[], options?: PublishOptions): Promise<readonly PublishSettlement[]>;
  /**
   * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` for what the broker cannot do; `ERR_SUBSCRIPTION_BUSY`, retryable, when the name
   * belongs to another subscription alone
   */
  subscribe(stream: string, target: Target, options?: SubscribeOptions<Native>): Promise<Subscription>;
  /** The same for a loop instead of a handler. What retries and gives up is then the loop. */
  pull(stream: string, options?: PullOptions<Native>): Promise<PullSubscription>;
  status(): ConnectionStatus;
  /** Calling what it returns ends the listening. */
  on<Name extends keyof ConnectionEvents>(event: Name, listener: (details: ConnectionEvents[Name]) => void): () => void;
  close(options?: CloseOptions): Promise<void>;
}
