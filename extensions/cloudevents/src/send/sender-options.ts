import type { Clock } from "event-driver";

import type { EncodeOptions } from "../http/http-encode.ts";

/** How often a sender tries by itself before the message fails. */
export interface SenderRetry {
  /**
   * How often the event is sent, the first time included.
   * @default 3
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Upper bound of the first pause, in milliseconds; it doubles with every further one, and the pause is drawn between 0 and it.
   * @default 100
   */
  readonly baseDelay?: number | undefined;
  /**
   * Upper bound of any pause, in milliseconds. A sink whose Retry-After asks for a longer one is not tried again: the message fails with
   * that as `retryAfter`, for whoever delivered it can wait better.
   * @default 10_000
   */
  readonly maxDelay?: number | undefined;
}

/** Knative's CloudEvent overrides. */
export interface SenderOverrides {
  /** Extension attributes set on every event that is sent, in the place of its own. */
  readonly extensions?: Readonly<Record<string, string>> | undefined;
}

export interface SenderOptions extends EncodeOptions {
  /** Where to send to: an absolute http or https URL. User info becomes an `Authorization` header. Events have no say in it. */
  readonly url: string | URL;
  /**
   * Milliseconds within which the sink must have answered, its body included; of each attempt.
   * @default 10_000
   */
  readonly timeout?: number | undefined;
  /**
   * Whether and how to try again when the sink cannot be reached or answers 404, 408, 409, 429 or 500 and above.
   * @default one attempt: whoever delivered the message delivers it again, which also survives a crash
   */
  readonly retry?: SenderRetry | undefined;
  /**
   * Headers of every request, for example `authorization`. Not those that say what the event is.
   * @default none
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** @default none */
  readonly overrides?: SenderOverrides | undefined;
  /**
   * Largest answer that is read, in bytes. A larger one is a failure where it is an event, and else left unread.
   * @default 1_048_576 (1 MiB)
   */
  readonly replyBytes?: number | undefined;
  /**
   * What sends the request. Node's keeps connections alive and shares them with the rest of the process.
   * @default globalThis.fetch
   */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /**
   * Measures the timeout and the pauses.
   * @default the clock of the context, else systemClock
   */
  readonly clock?: Clock | undefined;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: (() => number) | undefined;
}

/** What goes with one message that is sent; a pipeline's context fits. */
export interface SendOptions {
  /** Aborting rejects with `signal.reason`; the sink may have got the event all the same. */
  readonly signal?: AbortSignal | undefined;
  /** Epoch milliseconds on `clock`. No pause is begun that would reach it. */
  readonly deadline?: number | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
}
