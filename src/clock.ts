/** Where time comes from. Given in tests, so that nothing waits and nothing flaps. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `callback` once after `delay` milliseconds. Calling what it returns stops that; afterwards it does nothing. */
  after(delay: number, callback: () => void): () => void;
}

/** The machine's clock and timers. Timers hold the process open, as a message in flight should. */
export const systemClock: Clock = {
  now: Date.now,
  after(delay, callback) {
    // A longer delay would fire at once: timers count in a signed 32-bit integer.
    const timer = setTimeout(callback, Math.min(delay, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delay` milliseconds, or rejects with `signal.reason` as soon as that aborts. */
export function sleep(clock: Clock, delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delay, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
