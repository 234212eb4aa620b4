import type { KeyParking } from "../pipeline/key-parking.ts";

/** Where a position starts that does not exist yet: now, at the first message there is, at a time, or at a position, itself included. */
export type Backfill = boolean | Date | { readonly position: string };

export interface PullOptions<Native = never> {
  /**
   * Whose position is used. Subscriptions of one name share the work, each name by itself gets everything.
   * @default the stream
   */
  readonly name?: string;
  /**
   * Whether the position outlives the last subscription of the name.
   * @default true
   */
  readonly durable?: boolean;
  /**
   * Where to start when the name has no position yet.
   * @default false, with what comes from now on
   */
  readonly backfill?: Backfill;
  /**
   * Whether to start as `backfill` says even though the name has a position. Nobody else may be subscribed under it.
   * @default false
   */
  readonly reset?: boolean;
  /**
   * Milliseconds after which the broker takes back what is not settled. It is extended at a third, as long as a message waits or its handler runs, where the
   * broker can.
   * @default 30_000, where the broker takes anything back
   */
  readonly timeout?: number;
  /**
   * How many messages may be unsettled at once: waiting, being worked on, or waiting to be tried again.
   * @default 256
   */
  readonly maxInFlight?: number;
  /** What only this broker has. */
  readonly native?: Native;
}

export interface SubscribeOptions<Native = never> extends PullOptions<Native> {
  /**
   * Whether one message follows another, over all keys, and a failure blocks all that come behind. No other subscription may have the name.
   * @default false
   */
  readonly serial?: boolean;
  /**
   * What may overtake a failed message. With `"key"` it waits in memory and the messages of its key wait behind it, while other keys flow; with `"none"` it
   * waits at the broker, where that can wait, and everything flows.
   * @default "key", where the broker keeps any order
   */
  readonly order?: "key" | "none";
  /**
   * How many keys are worked on side by side.
   * @default 16
   */
  readonly concurrency?: number;
  /**
   * Hand over messages together: at most `size`, after at most `wait` milliseconds. Each is settled by itself. With order by key a batch has one message of
   * each key.
   * @default none, one by one
   */
  readonly batch?: { readonly size: number; readonly wait: number };
  /**
   * When to try again what failed retryably.
   * @default delays of 1, 5, 15 and 60 seconds
   */
  readonly retry?: RetryDelays;
  /**
   * The stream for what failed for good, or too often. Without one it is tried again for ever, with the last delay.
   * @default false
   */
  readonly deadLetter?: string | DeadLetterStream | false;
}

export interface RetryDelays {
  /**
   * Milliseconds before the second attempt, the third, and so on; then the message counts as failed for good. Or a function that says it, given how many
   * attempts there were and the last error; `undefined` ends it. An error's own `retryAfter` is waited for at least.
   */
  readonly delays: readonly number[] | ((attempt: number, error: unknown) => number | undefined);
}

export interface DeadLetterStream {
  readonly stream: string;
  /**
   * Whether the error's own words and its stack are kept too. They may show what you do not want stored.
   * @default false
   */
  readonly includeStack?: boolean;
  /**
   * How long the message is kept, in milliseconds.
   * @default 1_209_600_000, 14 days, where messages of the broker can expire
   */
  readonly retention?: number;
  /**
   * Puts the later messages of a key into the dead-letter stream too, behind the one that failed and without running them, until the stream is redriven; other
   * keys flow. Made by `parkedKeys` of `event-driver/dead-letters` over a store that all workers share. It adds one look-up for each message.
   * `false` for none.
   * @default that of the connection, where there is an order by key; without one, followers wait while a failed message is tried again, and run when it has been
   * put aside
   */
  readonly parkKey?: KeyParking | false;
}
