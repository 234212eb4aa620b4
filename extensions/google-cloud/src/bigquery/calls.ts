import { type Clock, EventDriverError } from "event-driver";

/** What has a time limit of its own. */
export type CallKind = "list" | "read" | "remove" | "write";

/** The calls of a store: each is limited in time and by its caller's signal, and all are waited for when the store closes. */
export class Calls {
  readonly #clock: Clock;
  readonly #limits: Readonly<Record<CallKind, number>>;
  readonly #inFlight = new Set<Promise<void>>();
  #closed = false;

  constructor(clock: Clock, limits: Readonly<Record<CallKind, number>>) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Runs `work` with a signal that aborts when the caller's does, or when the time is up; the call rejects then, whatever `work` does. */
  run<Result>(kind: CallKind, given: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#closed) return Promise.reject(closed());
    if (given?.aborted) return Promise.reject(given.reason);
    const call = this.#limited(kind, given, work);
    const settled: Promise<void> = call.then(
      () => void this.#inFlight.delete(settled),
      () => void this.#inFlight.delete(settled),
    );
    this.#inFlight.add(settled);
    return call;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#inFlight);
  }

  async #limited<Result>(kind: CallKind, given: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const limit = this.#limits[kind];
    const controller = new AbortController();
    const giveUp = (): void => controller.abort(given?.reason);
    const stopTimer = this.#clock.after(limit, () => controller.abort(timedOut(kind, limit)));
    given?.addEventListener("abort", giveUp, { once: true });
    try {
      return await Promise.race([work(controller.signal), aborted(controller.signal)]);
    } finally {
      stopTimer();
      given?.removeEventListener("abort", giveUp);
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function timedOut(kind: CallKind, limit: number): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `bigQueryEventStore: no answer to a ${kind} within ${limit} ms; whether a write was done is unknown, try again or raise timeout`,
    retryable: true,
  });
}

function closed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: "this BigQuery store was closed; open a new one, or close it after its last use",
    retryable: true,
  });
}
