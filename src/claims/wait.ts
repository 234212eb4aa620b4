import type { Context } from "../context.ts";

import { sleep } from "../clock.ts";
import { liveSignal } from "../context.ts";
import { EventDriverError, quote } from "../errors.ts";

/** Paces the look-ups of a duplicate that waits for the delivery being processed. */
export interface Patience {
  /** Resolves to `false`, at once, when the time is up. */
  pause(): Promise<boolean>;
}

/** Pauses that double from 10 ms to 500 ms, for `wait` milliseconds from the first on, or until the deadline. */
export function patience(ctx: Context, wait: number): Patience {
  const { clock, deadline = Infinity } = ctx;
  let until: number | undefined;
  let delay = 10;
  return {
    async pause() {
      const now = clock.now();
      until ??= Math.min(now + wait, deadline);
      const left = until - now;
      if (left <= 0) return false;
      await sleep(clock, Math.min(delay, left), liveSignal(ctx));
      delay = Math.min(delay * 2, 500);
      return true;
    },
  };
}

/** What a duplicate is told whose first delivery has not ended: come again, for acknowledging it could lose the message. */
export function inProgress(id: string, lease: number): EventDriverError {
  return new EventDriverError("ERR_IN_PROGRESS", {
    message: `message ${quote(id)} is being processed by another delivery; deliver it again later`,
    retryable: true,
    retryAfter: Math.ceil(lease / 3),
  });
}
