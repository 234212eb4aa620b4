import type { RunContext } from "../context.ts";
import type { Link } from "./compose.ts";
import type { AnyMessage } from "./handler.ts";

import { quote, StageError, TimeoutError } from "../errors.ts";
import { failedStage } from "./compose.ts";

/** Runs one message through a composed chain, with its failure named, and given up at the deadline or when the caller aborts. */
export function runLink(link: Link, run: RunContext, signal: AbortSignal | undefined, message: AnyMessage): Promise<void> {
  if (signal === undefined && run.deadline === undefined) return settle(link, run, message);
  return raced(link, run, signal, message);
}

async function settle(link: Link, run: RunContext, message: AnyMessage): Promise<void> {
  try {
    await link(run, message);
  } catch (error) {
    const { name, index } = (await failedStage(run, error)) ?? { name: run.stages[0]?.name ?? "unknown", index: 0 };
    throw new StageError({ name, index, id: message.id, cause: error });
  }
}

/** Only run where there is something to race: with nothing to wait for, it would add half of the time of five stages. */
function raced(link: Link, run: RunContext, signal: AbortSignal | undefined, message: AnyMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const remaining = run.deadline === undefined ? undefined : run.deadline - run.clock.now();
    const giveUp = (reason: unknown): void => {
      release();
      run.interrupt.abort(reason);
      reject(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const onDeadline = (): void => giveUp(new TimeoutError(`message ${quote(message.id)} was not done by its deadline; deliver it again`));
    const cancelTimer = remaining !== undefined && remaining > 0 ? run.clock.after(remaining, onDeadline) : undefined;
    const release = (): void => {
      signal?.removeEventListener("abort", onAbort);
      cancelTimer?.();
    };

    if (signal?.aborted) return onAbort();
    if (remaining !== undefined && remaining <= 0) return onDeadline();
    signal?.addEventListener("abort", onAbort, { once: true });
    settle(link, run, message).then(
      () => {
        release();
        resolve();
      },
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}
