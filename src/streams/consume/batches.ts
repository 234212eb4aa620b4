import type { Settlement } from "../../pipeline/batch.ts";
import type { Processor } from "../../pipeline/pipeline.ts";
import type { Job } from "./job.ts";
import type { Worker, WorkerOptions } from "./work.ts";

import { createContext } from "../../context.ts";
import { EventDriverError, quote } from "../../errors.ts";
import { replaying } from "../../pipeline/replaying.ts";
import { isRedriven, withoutMarks } from "./redriven.ts";
import { done, type Outcome } from "./settle.ts";

export interface BatchWorkerOptions extends Omit<WorkerOptions, "target" | "propagate"> {
  readonly target: Pick<Processor, "processBatch">;
  /** How many keys of a batch are worked on side by side. */
  readonly concurrency: number;
  readonly size: number;
  /** Milliseconds that the first message of a batch waits for the others. */
  readonly wait: number;
}

interface Kept {
  readonly job: Job;
  readonly settle: (outcome: Outcome) => void;
}

/** Collects jobs and has the target work on them together; one batch at a time, while the next one is collected. */
export function batchWorker(options: BatchWorkerOptions): Worker {
  const { clock, size, wait } = options;
  let kept: Kept[] = [];
  let isDue = false;
  /** Nothing more will come, so nothing is waited for. */
  let isLast = false;
  let isWorking = false;
  let cancelWait: (() => void) | undefined;

  const begin = async (): Promise<void> => {
    if (isWorking || kept.length === 0 || !(isDue || isLast || kept.length >= size)) return;
    cancelWait?.();
    cancelWait = undefined;
    isDue = false;
    isWorking = true;
    const batch = kept.slice(0, size);
    kept = kept.slice(size);
    // What comes back from a dead-letter stream has a context of its own kind.
    const parts = Map.groupBy(batch, ({ job }) => isRedriven(job.inbound.message)).values();
    await Promise.all(Array.from(parts, (part) => settleAll(part, options)));
    isWorking = false;
    if (!isLast) waitForMore();
    await begin();
  };
  const waitForMore = (): void => {
    if (kept.length === 0) return;
    cancelWait ??= clock.after(wait, () => {
      isDue = true;
      void begin();
    });
  };

  return {
    work: (job) =>
      new Promise((settle) => {
        kept.push({ job, settle });
        waitForMore();
        void begin();
      }),
    flush() {
      isLast = true;
      void begin();
    },
  };
}

async function settleAll(batch: readonly Kept[], options: BatchWorkerOptions): Promise<void> {
  const outcomes = await workOn(batch, options);
  batch.forEach(({ job, settle }, index) => settle(outcomes[index] ?? failed(notSettled(job))));
}

async function workOn(batch: readonly Kept[], { target, clock, logger, concurrency }: BatchWorkerOptions): Promise<readonly Outcome[]> {
  const jobs = batch.map(({ job }) => job);
  const controller = new AbortController();
  // Only when no message of it is ours any more: one that was lost must not stop the others.
  const onAbort = (): void => {
    const last = jobs.find((job) => job.interrupt.signal.aborted);
    if (jobs.every((job) => job.interrupt.signal.aborted)) controller.abort(last?.interrupt.signal.reason);
  };
  for (const job of jobs) job.interrupt.signal.addEventListener("abort", onAbort, { once: true });
  const attempt = Math.min(...jobs.map((job) => job.attempt));
  const started = createContext({ signal: controller.signal, attempt, clock, logger });
  const ctx = jobs.some((job) => isRedriven(job.inbound.message)) ? replaying.set(started, true) : started;
  try {
    const settlements = await target.processBatch(
      ctx,
      jobs.map((job) => withoutMarks(job.inbound.message)),
      { concurrency },
    );
    return settlements.map(outcomeOf);
  } catch (error) {
    return jobs.map(() => failed(error));
  } finally {
    for (const job of jobs) job.interrupt.signal.removeEventListener("abort", onAbort);
  }
}

function outcomeOf(settlement: Settlement): Outcome {
  return settlement.status === "done" ? done : failed(settlement.error);
}

function failed(error: unknown): Outcome {
  return { status: "failed", error };
}

function notSettled(job: Job): EventDriverError {
  return new EventDriverError("ERR_HANDLER_FAILED", {
    message: `processBatch gave no settlement for message ${quote(job.inbound.message.id)}; it must give one for each, in their order`,
    retryable: true,
  });
}
