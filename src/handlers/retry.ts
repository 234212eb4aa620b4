import type { Context } from "../context.ts";
import type { PassThrough } from "../pipeline/handler.ts";

import { sleep } from "../clock.ts";
import { deriveContext, liveSignal } from "../context.ts";
import { EventDriverError, invalidOption, isEventDriverError, isRetryable, quote } from "../errors.ts";

export interface RetryOptions {
  /**
   * How often the stages behind it are run, the first time included.
   * @default 3
   */
  readonly maxAttempts?: number;
  /**
   * Upper bound of the first pause, in milliseconds; it doubles with every further one.
   * @default 100
   */
  readonly baseDelay?: number;
  /**
   * Upper bound of any pause, in milliseconds.
   * @default 10_000
   */
  readonly maxDelay?: number;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
}

/**
 * Runs the stages behind it again when they fail retryably, pausing with exponential backoff and full jitter.
 *
 * Use it for faults that pass within seconds. For longer ones let the sender or the broker redeliver: a message that waits here is held in
 * memory and keeps its lease.
 *
 * A failure with `retryAfter` is given at least that pause. Where the pause would be longer than `maxDelay` or reach the deadline, the failure
 * is thrown on at once, as it is, for its sender can wait longer. So is a terminal one. `ctx.attempt` rises with every run.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_RETRIES_EXHAUSTED`, retryable, with the last failure as `cause`
 * @example pipeline().use(retry({ maxAttempts: 5 })).use(charge)
 */
export function retry(options: RetryOptions = {}): PassThrough {
  const { maxAttempts, baseDelay, maxDelay, random } = withDefaults(options);

  return {
    traits: { name: "retry", retries: true },
    async process(ctx, message, next) {
      for (let run = 1; ; run += 1) {
        let pause: number;
        try {
          return await next(run === 1 ? ctx : deriveContext(ctx, { attempt: ctx.attempt + run - 1 }), message);
        } catch (error) {
          if (!isRetryable(error) || liveSignal(ctx)?.aborted) throw error;
          if (run === maxAttempts) throw exhausted(message.id, run, error);
          pause = Math.max(random() * Math.min(maxDelay, baseDelay * 2 ** (run - 1)), requestedPause(error));
          if (pause > maxDelay || reachesDeadline(ctx, pause)) throw error;
        }
        await sleep(ctx.clock, pause, liveSignal(ctx));
      }
    },
  };
}

function withDefaults({ maxAttempts = 3, baseDelay = 100, maxDelay = 10_000, random = Math.random }: RetryOptions): Required<RetryOptions> {
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1) throw invalidOption("retry", "maxAttempts", maxAttempts, "a whole number from 1");
  if (!(baseDelay >= 0)) throw invalidOption("retry", "baseDelay", baseDelay, "milliseconds from 0");
  if (!(maxDelay >= baseDelay)) throw invalidOption("retry", "maxDelay", maxDelay, `milliseconds from baseDelay (${baseDelay})`);
  return { maxAttempts, baseDelay, maxDelay, random };
}

function exhausted(id: string, runs: number, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_RETRIES_EXHAUSTED", {
    message: `message ${quote(id)} failed ${runs} times; its sender may deliver it again`,
    retryable: true,
    retryAfter: requestedPause(cause) || undefined,
    cause,
  });
}

function requestedPause(error: unknown): number {
  return isEventDriverError(error) ? (error.retryAfter ?? 0) : 0;
}

function reachesDeadline(ctx: Context, pause: number): boolean {
  return ctx.deadline !== undefined && ctx.clock.now() + pause >= ctx.deadline;
}
