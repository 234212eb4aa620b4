import type { Clock } from "../clock.ts";

/**
 * Milliseconds for a broker's answer to a goodbye. A broker that is away, or hangs, must not keep a process from ending: what it has not been told it
 * finds out by itself.
 */
export const goodbye = 5_000;

/** Waits for something under way, not longer than so many milliseconds; says whether it has ended. Throws what it has failed with until then. */
export async function endsWithin(clock: Clock, limit: number, happening: Promise<unknown>): Promise<boolean> {
  let cancel: (() => void) | undefined;
  const limitReached = new Promise<boolean>((resolve) => {
    cancel = clock.after(limit, () => resolve(false));
  });
  try {
    return await Promise.race([happening.then(() => true), limitReached]);
  } finally {
    cancel?.();
  }
}
