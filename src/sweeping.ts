import type { Logger } from "./context.ts";
import type { Processor } from "./pipeline/pipeline.ts";

import { type Clock, sleep, systemClock } from "./clock.ts";
import { createContext, silentLogger } from "./context.ts";
import { invalidOption } from "./errors.ts";

export interface SweepingOptions {
  /**
   * Milliseconds between two sweeps, on average: each pause is between half and one and a half of it, so that replicas spread out.
   * @default 5_000
   */
  readonly every?: number;
  /** Ends the sweeping, and what a sweep is doing then. */
  readonly signal?: AbortSignal | undefined;
  /** @default silent */
  readonly logger?: Logger | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
}

export interface Sweeping {
  /** Starts no further sweep and resolves when a running one has ended. */
  stop(): Promise<void>;
}

/**
 * Sweeps a pipeline regularly: ends windows that are due, and finishes what a crashed process has left.
 *
 * A receiver's `listen` does this by itself. Use it where you run the pipeline in another way; where processes do not live long, call
 * `pipeline.sweep()` from a timer job instead. Any number of replicas may sweep the same store.
 *
 * What fails is logged and tried again by a later sweep.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const sweeping = startSweeping(orders, { every: 1_000, logger });
 */
export function startSweeping(pipeline: Pick<Processor, "sweep">, options: SweepingOptions = {}): Sweeping {
  const { every = 5_000, signal, logger = silentLogger, clock = systemClock, random = Math.random } = options;
  if (!(every > 0)) throw invalidOption("startSweeping", "every", every, "milliseconds above 0");
  const stopping = new AbortController();
  const ended = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]);

  const run = async (): Promise<void> => {
    let more = false;
    for (;;) {
      const paused = sleep(clock, more ? 0 : every * (0.5 + random()), ended);
      if (!(await paused.then(yes, no))) return;
      more = await sweepOnce();
    }
  };

  const sweepOnce = async (): Promise<boolean> => {
    try {
      const report = await following(signal, (each) => pipeline.sweep(createContext({ signal: each, logger, clock })));
      for (const error of report.errors) logger.error({ err: error }, "a sweep could not finish an entry and will try it again");
      // Where nothing of a full page could be finished, others work on it: at once would be a busy loop.
      return report.more && report.finished > 0 && report.errors.length === 0;
    } catch (error) {
      logger.error({ err: error }, "a sweep failed and will be tried again");
      return false;
    }
  };

  const running = run();
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}

/** Lends a signal that follows the given one for one sweep only: what is swept may listen to it, and would else stay on one that outlives it. */
async function following<Result>(
  signal: AbortSignal | undefined,
  sweep: (signal: AbortSignal | undefined) => Promise<Result>,
): Promise<Result> {
  if (signal === undefined) return sweep(undefined);
  const lent = new AbortController();
  const abort = (): void => lent.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await sweep(lent.signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

const yes = (): boolean => true;
const no = (): boolean => false;
