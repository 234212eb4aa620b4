import type { RunContext } from "../context.ts";
import type { Link } from "./compose.ts";
import type { AnyMessage } from "./handler.ts";
import type { Place, Racer, Races, Timed } from "./race.ts";

import { quote, StageError, TimeoutError } from "../errors.ts";
import { failedStage } from "./compose.ts";

/** Runs one message through a composed chain; a failure names its stage. */
export function runBare(link: Link, run: RunContext, message: AnyMessage): Promise<void> {
  return link(run, message).then(undefined, (error: unknown) => throwNamed(error, run, message.id));
}

/**
 * The same, given up at the deadline or when the caller's signal aborts, whatever the stages do. Only for runs that have something to race: it adds
 * half of the time of five stages.
 */
export function runRaced(link: Link, run: RunContext, message: AnyMessage, signal: AbortSignal | undefined, races: Races): Promise<void> {
  const racer = new RacedRun(run, message.id);
  // An executor that remembers all the arguments, and makes the racer, costs a tenth of five stages more.
  const outcome = new Promise<void>((resolve, reject) => racer.settleBy(resolve, reject));
  if (signal?.aborted) racer.giveUp(signal.reason);
  else {
    racer.enter(races, signal);
    link(run, message).then(
      () => racer.succeed(),
      (error: unknown) => racer.fail(error),
    );
  }
  return outcome;
}

/** A run with whoever waits for it, and whatever may end that wait before the stages do. */
class RacedRun implements Racer {
  readonly deadline: number;
  readonly #run: RunContext;
  readonly #id: string;
  #resolve: (() => void) | undefined;
  #reject: ((reason: unknown) => void) | undefined;
  #abortable: Place | undefined;
  #limited: Place<Timed> | undefined;

  constructor(run: RunContext, id: string) {
    this.deadline = run.deadline ?? Infinity;
    this.#run = run;
    this.#id = id;
  }

  settleBy(resolve: () => void, reject: (reason: unknown) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  enter(races: Races, signal: AbortSignal | undefined): void {
    if (signal !== undefined) this.#abortable = races.watchSignal(signal).add(this);
    if (this.deadline < Infinity) this.#limited = races.watchClock(this.#run.clock).add(this);
  }

  succeed(): void {
    this.#leave();
    this.#resolve?.();
  }

  fail(error: unknown): void {
    this.#leave();
    // Not handed to resolve: after a run was given up nobody would wait for that rejection, and it would end the process.
    throwNamed(error, this.#run, this.#id).catch((named: unknown) => this.#reject?.(named));
  }

  giveUp(reason: unknown): void {
    this.#leave();
    this.#run.interrupt.abort(reason);
    this.#reject?.(reason);
  }

  timeOut(): void {
    this.giveUp(missedDeadline(this.#id));
  }

  #leave(): void {
    this.#abortable?.leave();
    this.#limited?.leave();
  }
}

export function missedDeadline(id: string): TimeoutError {
  return new TimeoutError(`message ${quote(id)} was not done by its deadline; deliver it again`);
}

async function throwNamed(error: unknown, run: RunContext, id: string): Promise<never> {
  const { name, index } = (await failedStage(run, error)) ?? { name: run.stages[0]?.name ?? "unknown", index: 0 };
  throw new StageError({ name, index, id, cause: error });
}
