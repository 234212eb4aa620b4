import {
  type Context,
  type ContextOptions,
  createContext,
  type Processor,
  type SweepReport,
  systemClock,
  TimeoutError,
} from "event-driver";

/**
 * Sweeps a pipeline until nothing is due any more, or nothing of it can be done now.
 *
 * Rejects with all that could not be done; with a `TimeoutError` at the deadline, and with the signal's reason as soon as that aborts, even if
 * a handler ignores it. What was done by then stays done.
 */
export async function sweepFully(
  pipeline: Pick<Processor, "sweep">,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<void> {
  const { signal, deadline, clock = systemClock } = options;
  const lent = new AbortController();
  const ctx = prepare(createContext({ ...options, signal: lent.signal }));

  return new Promise((resolve, reject) => {
    const giveUp = (reason: unknown): void => {
      lent.abort(reason);
      reject(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const onDeadline = (): void => giveUp(new TimeoutError("the sweep was not done by its deadline; another one goes on"));
    const stopTimer = deadline === undefined ? undefined : clock.after(Math.max(0, deadline - clock.now()), onDeadline);
    const release = (): void => {
      stopTimer?.();
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    void sweepUntilNothingIsDue(pipeline, ctx).finally(release).then(resolve, reject);
  });
}

async function sweepUntilNothingIsDue(pipeline: Pick<Processor, "sweep">, ctx: Context): Promise<void> {
  let report: SweepReport;
  do {
    ctx.signal.throwIfAborted();
    report = await pipeline.sweep(ctx);
    if (report.errors.length > 0) throw new AggregateError(report.errors, `a sweep could not finish ${report.errors.length} entries`);
    // What is due and cannot be finished is being worked on elsewhere: asking again at once would not help.
  } while (report.more && report.finished > 0);
}
