import type { Clock } from "../clock.ts";
import type { Logger } from "../context.ts";

import { EventDriverError, isRetryable } from "../errors.ts";

/** A write that is to be repeated on a copy. */
export interface CopyWrite {
  readonly operation: "persist" | "remove";
  readonly key: string;
  readonly source: string;
  /** Writes of one lane are made one after another, in the order they were added. */
  readonly lane: string;
  readonly perform: (signal: AbortSignal) => Promise<unknown>;
}

/** A write that a copy will never see. */
export interface DroppedWrite extends Pick<CopyWrite, "operation" | "key" | "source"> {
  /** Which copy lacks it, counted from 0. */
  readonly copy: number;
  /** Why: `ERR_OVERLOADED` when the queue was full, `ERR_STORE_CLOSED` when it was not drained in time, else the copy's own terminal failure. */
  readonly error: unknown;
}

/** How far a copy is behind. */
export interface CopyState {
  readonly lag: {
    /** Writes that the copy has not confirmed yet. */
    readonly queued: number;
    /** Milliseconds for which the oldest of them has been waiting; 0 when there is none. */
    readonly age: number;
  };
  /** Writes that this copy will never see. */
  readonly dropped: number;
}

export interface CopyQueueSettings {
  /** The copy's number, for those who are told of drops. */
  readonly copy: number;
  readonly limit: number;
  readonly concurrency: number;
  readonly baseDelay: number;
  readonly maxDelay: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger | undefined;
  readonly onDrop: (write: DroppedWrite) => void;
}

interface QueuedWrite extends CopyWrite {
  readonly since: number;
  failures: number;
}

/** What one copy has still to be told: bounded, in order within a lane, lanes side by side, each write repeated until it succeeds or never can. */
export class CopyQueue implements CopyState {
  readonly #settings: CopyQueueSettings;
  /** Oldest first; each is here until the copy has confirmed it, or it was dropped. */
  readonly #writes = new Set<QueuedWrite>();
  readonly #lanes = new Map<string, QueuedWrite[]>();
  /** The first write of each lane that neither runs nor pauses. */
  readonly #ready: QueuedWrite[] = [];
  /** Stop the timers of lanes that pause. */
  readonly #pauses = new Set<() => void>();
  readonly #controller = new AbortController();
  #running = 0;
  #dropped = 0;
  #onEmpty: (() => void) | undefined;

  constructor(settings: CopyQueueSettings) {
    this.#settings = settings;
  }

  get lag(): CopyState["lag"] {
    const [oldest] = this.#writes;
    return { queued: this.#writes.size, age: oldest === undefined ? 0 : this.#settings.clock.now() - oldest.since };
  }

  get dropped(): number {
    return this.#dropped;
  }

  add(write: CopyWrite): void {
    const { limit, clock } = this.#settings;
    if (this.#writes.size >= limit) return this.#drop(write, queueFull(limit));
    const queued = { ...write, since: clock.now(), failures: 0 };
    this.#writes.add(queued);
    const lane = this.#lanes.get(write.lane);
    if (lane !== undefined) {
      lane.push(queued);
      return;
    }
    this.#lanes.set(write.lane, [queued]);
    this.#ready.push(queued);
    this.#fill();
  }

  /** Waits until nothing is queued, for so many milliseconds at most, and drops what is left then. */
  async drain(timeLimit: number): Promise<void> {
    if (this.#writes.size > 0) {
      await new Promise<void>((resolve) => {
        const stopTimer = this.#settings.clock.after(timeLimit, resolve);
        this.#onEmpty = () => {
          stopTimer();
          resolve();
        };
      });
    }
    const error = notDrained(timeLimit);
    for (const stopPause of this.#pauses) stopPause();
    this.#controller.abort(error);
    for (const write of this.#writes) this.#drop(write, error);
    this.#writes.clear();
    this.#lanes.clear();
  }

  /** Begins as many writes as may run side by side. */
  #fill(): void {
    while (this.#running < this.#settings.concurrency) {
      const write = this.#ready.shift();
      if (write === undefined) return;
      void this.#run(write);
    }
  }

  async #run(write: QueuedWrite): Promise<void> {
    this.#running += 1;
    const [outcome] = await Promise.allSettled([write.perform(this.#controller.signal)]);
    this.#running -= 1;
    // What was still running when the time was up has been dropped.
    if (this.#controller.signal.aborted) return;
    if (outcome.status === "rejected" && isRetryable(outcome.reason)) this.#pause(write, outcome.reason);
    else {
      if (outcome.status === "rejected") this.#drop(write, outcome.reason);
      this.#finish(write);
    }
    this.#fill();
  }

  /** Only the write's own lane waits for it: others run meanwhile. */
  #pause(write: QueuedWrite, error: unknown): void {
    const { copy, baseDelay, maxDelay, clock, random, logger } = this.#settings;
    const delay = random() * Math.min(maxDelay, baseDelay * 2 ** write.failures);
    write.failures += 1;
    if (write.failures === 1) {
      logger?.warn({ copy, key: write.key, source: write.source, err: error }, "a copy could not be written; it is tried again");
    }
    const stopTimer = clock.after(delay, () => {
      this.#pauses.delete(stopTimer);
      this.#ready.push(write);
      this.#fill();
    });
    this.#pauses.add(stopTimer);
  }

  #finish(write: QueuedWrite): void {
    this.#writes.delete(write);
    const lane = this.#lanes.get(write.lane);
    lane?.shift();
    const next = lane?.[0];
    if (next !== undefined) this.#ready.push(next);
    else this.#lanes.delete(write.lane);
    if (this.#writes.size === 0) this.#onEmpty?.();
  }

  #drop({ operation, key, source }: CopyWrite, error: unknown): void {
    const { copy, logger, onDrop } = this.#settings;
    this.#dropped += 1;
    const write: DroppedWrite = { copy, operation, key, source, error };
    logger?.error({ copy, operation, key, source, err: error }, "a copy has missed a write");
    try {
      onDrop(write);
    } catch (failure) {
      logger?.error({ err: failure }, "onDrop of replicated failed");
    }
  }
}

function queueFull(limit: number): EventDriverError {
  return new EventDriverError("ERR_OVERLOADED", {
    message: `replicated: ${limit} writes are waiting for this copy already; write it later, or raise queue`,
    retryable: true,
  });
}

function notDrained(timeLimit: number): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: `replicated: the store was closed, and the copy had not taken all writes within ${timeLimit} ms; raise drainTimeout`,
    retryable: true,
  });
}
