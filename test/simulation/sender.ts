import type { Clock } from "../../src/clock.ts";
import type { Settlement } from "../../src/pipeline/batch.ts";
import type { Processor } from "../../src/pipeline/pipeline.ts";
import type { Ledger, ModelEvent } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

import { createContext } from "../../src/context.ts";
import { isEventDriverError, isRetryable } from "../../src/errors.ts";

/** A process that takes events. */
export interface Receiver {
  readonly process: SimulatedProcess;
  readonly service: Processor;
  readonly clock: Clock;
}

export interface SenderOptions {
  readonly scenario: Scenario;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly trace: (text: () => string) => void;
  /** One of the processes that live; `undefined` when there is none. */
  readonly receiver: () => Receiver | undefined;
}

/** Sends events until each is acknowledged or refused, or its patience is at an end. It does not know what became of a delivery it gave up. */
export class Sender {
  readonly #options: SenderOptions;
  #events: readonly ModelEvent[];
  #attempts = 0;

  constructor(options: SenderOptions, events: readonly ModelEvent[], startAt: number) {
    this.#options = options;
    this.#events = events;
    options.scheduler.after(startAt - options.scheduler.now, () => this.#attempt());
  }

  get isDone(): boolean {
    return this.#events.length === 0;
  }

  #attempt(): void {
    const { scheduler, random, scenario, receiver } = this.#options;
    const to = receiver();
    if (to === undefined) return void scheduler.after(random.between(100, 400), () => this.#attempt());
    this.#attempts += 1;
    const events = this.#events;
    let isOpen = true;
    const end = (left: readonly ModelEvent[]): void => {
      if (!isOpen) return;
      isOpen = false;
      cancelDeath();
      cancelTimeout();
      this.#end(left);
    };
    const cancelDeath = to.process.onDeath(() => void scheduler.after(random.between(0, 400), () => end(events)));
    const stopping = scenario.faultRate > 0 && random.chance(0.2) ? new AbortController() : undefined;
    const cancelTimeout = scheduler.after(random.between(2_500, 6_000), () => {
      if (stopping !== undefined) to.process.later(0, () => stopping.abort(new Error("the sender is gone")));
      end(events);
    });
    to.process.later(random.between(0, 20), () => {
      void this.#deliver(to, events, stopping?.signal).then((left) => scheduler.after(random.between(0, 20), () => end(left)));
    });
  }

  /** Runs in the receiving process, so it is over when that dies. Resolves to the events that are to be sent again. */
  async #deliver(
    { process, service, clock }: Receiver,
    events: readonly ModelEvent[],
    signal: AbortSignal | undefined,
  ): Promise<readonly ModelEvent[]> {
    const { random, scenario, ledger, trace } = this.#options;
    const deadline = scenario.faultRate > 0 && random.chance(0.1) ? clock.now() + random.between(500, 8_000) : undefined;
    if (deadline !== undefined || signal !== undefined) process.noteTrouble();
    const ctx = createContext({
      clock,
      deadline,
      signal,
      attempt: this.#attempts,
      onReply: ({ content }) => ledger.replied(String(content)),
    });
    trace(() => `${process.name} is sent ${events.map(({ message }) => message.id).join(", ")}`);
    const [first] = events;
    const settlements =
      scenario.batches || first === undefined
        ? await service.processBatch(
            ctx,
            events.map(({ message }) => message),
          )
        : [await settled(service.process(ctx, first.message))];
    return events.filter((event, index) => this.#isToRepeat(process, event, settlements[index]));
  }

  #isToRepeat(process: SimulatedProcess, { message, order }: ModelEvent, settlement: Settlement | undefined): boolean {
    const { ledger, scenario, trace } = this.#options;
    if (settlement?.status === "done") {
      trace(() => `${process.name} acknowledges ${message.id}`);
      ledger.accepted.add(message.id);
      return false;
    }
    const error = settlement?.error;
    trace(() => `${process.name} fails ${message.id}: ${String(error)}`);
    if (isRetryable(error)) return true;
    const code = isEventDriverError(error) ? error.code : "unknown";
    ledger.refused.set(message.id, code);
    if (code === "ERR_TERMINAL" || code === "ERR_CRASHED") ledger.failuresTold.add(scenario.joiner === "none" ? message.id : order);
    return false;
  }

  #end(left: readonly ModelEvent[]): void {
    const { scheduler, random, scenario } = this.#options;
    this.#events = this.#attempts >= scenario.patience ? [] : left;
    if (this.#events.length > 0) scheduler.after(random.between(50, 1_500), () => this.#attempt());
  }
}

function settled(result: Promise<void>): Promise<Settlement> {
  return result.then(
    () => ({ status: "done", reply: undefined, ended: undefined }),
    (error: unknown) => ({ status: "failed", error }),
  );
}
