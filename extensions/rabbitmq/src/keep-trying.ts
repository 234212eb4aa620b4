import type { Clock } from "event-driver";

import type { Link } from "./link.ts";

import { sleep } from "event-driver";

import { closed } from "./link.ts";

export interface KeepTryingOptions {
  readonly link: Link;
  readonly servers: string;
  readonly clock: Clock;
  /** Ends it. */
  readonly leaving: AbortSignal;
  /** Whether trying again after an error may help. */
  readonly mayHelp: (error: unknown) => boolean;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two attempts: the first pause, and the longest. */
const firstPause = 100;
const longestPause = 10_000;

/**
 * Tries until it succeeds, as long as trying again may help.
 *
 * @throws EventDriverError `ERR_CONNECTION_CLOSED` when the link was closed, or it has ended
 */
export async function keepTrying(options: KeepTryingOptions, attempt: () => Promise<void>): Promise<void> {
  const { link, servers, clock, leaving, mayHelp, onError } = options;
  const gone = AbortSignal.any([link.closing, leaving]);
  for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
    if (gone.aborted) throw closed(servers);
    try {
      return await attempt();
    } catch (error) {
      if (!mayHelp(error)) throw error;
      onError(error);
    }
    // Leaving ends the pause, and the loop with it.
    await sleep(clock, pause, gone).catch(() => {});
  }
}
