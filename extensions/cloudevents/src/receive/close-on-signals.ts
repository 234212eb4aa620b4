import type { Listening } from "./listen.ts";

export interface CloseOnSignalsOptions {
  /** @default ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Milliseconds that what is in flight is given.
   * @default the receiver's `drainTime`
   */
  readonly limit?: number | undefined;
  /** Runs when the last connection is closed, for example `() => store.close()`. */
  readonly onClosed?: (() => unknown) | undefined;
}

/**
 * Closes a server when the process is asked to end, and then what it needed. The process ends by itself when nothing else keeps it open.
 *
 * The signals are listened for once: a second one ends the process at once, as it does without this function. What closing throws is thrown
 * on, as an unhandled rejection where nobody handles it, so that the exit code tells.
 *
 * @returns resolves when all is closed, for a signal or because `close` was called
 * @example
 * const listening = await receiver(orders).listen();
 * await closeOnSignals(listening, { onClosed: () => store.close() });
 */
export async function closeOnSignals(listening: Listening, options: CloseOnSignalsOptions = {}): Promise<void> {
  const { signals = ["SIGTERM", "SIGINT"], limit, onClosed } = options;
  const onSignal = (): void => {
    release();
    void listening.close(limit === undefined ? {} : { limit });
  };
  const release = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  await listening.closed;
  release();
  await onClosed?.();
}
