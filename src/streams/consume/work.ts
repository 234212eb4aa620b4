import type { Clock } from "../../clock.ts";
import type { Context, Logger } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Target } from "../connection.ts";
import type { Propagated } from "../propagation.ts";
import type { Job } from "./job.ts";

import { startContext } from "../../context.ts";
import { deliverySource } from "../delivery.ts";
import { readPropagated } from "../propagation.ts";
import { earlierAttempts, redrivenContext, withoutMarks } from "./redriven.ts";
import { done, type Outcome } from "./settle.ts";

/** What works on jobs. */
export interface Worker {
  /** Never rejects. */
  work(job: Job): Promise<Outcome>;
  /** Nothing more will come: begins with what it has kept back to work on it together. */
  flush(): void;
}

export interface WorkerOptions {
  readonly target: Target;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly propagate: readonly Propagated[];
}

/** Runs the target for each job by itself. */
export function singleWorker({ target, clock, logger, propagate }: WorkerOptions): Worker {
  const process = (ctx: Context, message: Message): Promise<void> =>
    typeof target === "function" ? target(ctx, message) : target.process(ctx, message);

  return {
    async work(job) {
      const { message } = job.inbound;
      const attempt = job.attempt + earlierAttempts(message);
      const ctx = startContext({ attempt, clock, logger }, job.interrupt, { [deliverySource]: job });
      try {
        await process(readPropagated(redrivenContext(ctx, message), message, propagate), withoutMarks(message));
        return done;
      } catch (error) {
        return { status: "failed", error };
      }
    },
    flush() {},
  };
}
