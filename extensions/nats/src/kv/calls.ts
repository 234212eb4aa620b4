import { EventDriverError, invalidOption } from "event-driver";

/** The calls on a store and its scopes. */
export class Calls {
  readonly #running = new Set<Promise<unknown>>();
  #isClosed = false;

  async run<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw closed();
    signal?.throwIfAborted();
    const running = work();
    this.#running.add(running);
    try {
      return await (signal === undefined ? running : orAborted(running, signal));
    } finally {
      void running.catch(() => undefined).finally(() => this.#running.delete(running));
    }
  }

  /** Lets no further call in, and waits for those that run, given up or not. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#running);
  }
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireTime(option: string, time: number | undefined): void {
  if (time !== undefined && (typeof time !== "number" || Number.isNaN(time)))
    throw invalidOption("natsKvEventStore", `${option} of persist`, time, "milliseconds since the epoch");
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireLimit(operation: string, limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw invalidOption("natsKvEventStore", `limit of ${operation}`, limit, "a whole number from 1");
}

function orAborted<Result>(running: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    void running.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function closed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: "natsKvEventStore: the store is closed; finish the work before closing it",
    retryable: true,
  });
}
