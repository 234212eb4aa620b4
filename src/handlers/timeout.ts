import type { PassThrough } from "../pipeline/handler.ts";

import { Interrupt, interruptible, liveSignal } from "../context.ts";
import { invalidOption, quote, TimeoutError } from "../errors.ts";

export interface TimeoutOptions {
  /** How long the stages behind it may take for one message, in milliseconds. */
  readonly after: number;
}

/**
 * Gives up on the stages behind it after a time: their `ctx.signal` aborts and the message fails with a `TimeoutError`, at once, even where
 * they ignore the signal.
 *
 * Use it behind `retry` to bound each run by itself, or around one slow stage. To bound a whole message use `pipeline({ deadline })`.
 *
 * A stage that ignores the signal goes on in the background, and what it holds, such as a claim, stays held until it is done.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_TIMEOUT`, retryable
 * @example pipeline().use(retry()).use(timeout({ after: 2_000 })).use(charge)
 */
export function timeout({ after }: TimeoutOptions): PassThrough {
  if (!(after > 0)) throw invalidOption("timeout", "after", after, "milliseconds above 0");

  return {
    traits: { name: "timeout" },
    process(ctx, message, next) {
      return new Promise((resolve, reject) => {
        const outer = liveSignal(ctx);
        if (outer?.aborted) return reject(outer.reason);

        const interrupt = new Interrupt(true);
        const deadline = Math.min(ctx.clock.now() + after, ctx.deadline ?? Infinity);
        const release = (): void => {
          outer?.removeEventListener("abort", onAbort);
          cancelTimer();
        };
        const giveUp = (reason: unknown): void => {
          release();
          interrupt.abort(reason);
          reject(reason);
        };
        const onAbort = (): void => giveUp(outer?.reason);
        const onTimeout = (): void =>
          giveUp(new TimeoutError(`message ${quote(message.id)} was not done within ${after} ms; deliver it again`));
        const run = async (): Promise<void> => next(interruptible(ctx, interrupt, { deadline }), message);

        const cancelTimer = ctx.clock.after(after, onTimeout);
        outer?.addEventListener("abort", onAbort, { once: true });
        run().finally(release).then(resolve, reject);
      });
    },
  };
}
