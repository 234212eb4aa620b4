/** What drains when it is closed: a server that listens, or a connection to a broker. */
export interface Closable {
  close(options?: { readonly limit?: number }): Promise<void>;
  /** Resolves when it has been closed, by whomever. */
  readonly closed?: Promise<void> | undefined;
}

export interface CloseOnSignalsOptions {
  /** @default ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Milliseconds that what is in flight is given.
   * @default what each has for itself: a receiver its `drainTime`, a connection 30_000
   */
  readonly limit?: number | undefined;
  /** Runs when all are closed, for example `() => store.close()`. */
  readonly onClosed?: (() => unknown) | undefined;
}

/**
 * Closes a server or a connection, or several at once, when the process is asked to end, and then what they needed. The process ends by itself when nothing
 * else keeps it open.
 *
 * The signals are listened for once: a second one ends the process at once, as it does without this function. What closing throws is thrown
 * on, as an unhandled rejection where nobody handles it, so that the exit code tells.
 *
 * @returns resolves when all are closed, for a signal or because one of them that tells was closed
 * @example
 * const listening = await receiver(orders).listen();
 * await closeOnSignals([listening, connection], { onClosed: () => store.close() });
 */
export async function closeOnSignals(served: Closable | readonly Closable[], options: CloseOnSignalsOptions = {}): Promise<void> {
  const { signals = ["SIGTERM", "SIGINT"], limit, onClosed } = options;
  const all: readonly Closable[] = [served].flat();
  const asked = Promise.withResolvers<void>();
  for (const signal of signals) process.once(signal, asked.resolve);
  await Promise.race([asked.promise, ...all.flatMap(({ closed }) => closed ?? [])]);
  for (const signal of signals) process.off(signal, asked.resolve);
  const endings = await Promise.allSettled(all.map((each) => each.close(limit === undefined ? {} : { limit })));
  await onClosed?.();
  for (const ending of endings) if (ending.status === "rejected") throw ending.reason;
}
