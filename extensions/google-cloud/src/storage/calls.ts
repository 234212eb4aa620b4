import { EventDriverError, invalidOption } from "event-driver";

/** The calls on a store and its scopes. */
export class Calls {
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  async run<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw closed();
    signal?.throwIfAborted();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Lets no further call in, and waits for those that run. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireTime(option: string, time: number | undefined): void {
  if (time !== undefined && (typeof time !== "number" || Number.isNaN(time))) {
    throw invalidOption("gcsEventStore", `${option} of persist`, time, "milliseconds since the epoch");
  }
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireLimit(operation: string, limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw invalidOption("gcsEventStore", `limit of ${operation}`, limit, "a whole number from 1");
}

function closed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: "gcsEventStore: the store is closed; finish the work before closing it",
    retryable: true,
  });
}
