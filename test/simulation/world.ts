import type { Message } from "../../src/message.ts";
import type { EventStore } from "../../src/stores/event-store.ts";
import type { Coverage } from "./coverage.ts";
import type { Scenario } from "./scenario.ts";

import { outcomeEntry } from "../../src/handlers/joiner/entries.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { startSweeping } from "../../src/sweeping.ts";
import { BucketService } from "./bucket-service.ts";
import { bucketStore } from "./bucket-store.ts";
import { claimEntry } from "./call-sites.ts";
import { ClaimWatcher } from "./claim-watcher.ts";
import { Faults } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { orderService } from "./order-service.ts";
import { processStore } from "./process-store.ts";
import { type Random, seededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { type Receiver } from "./sender.ts";
import { type ClockError, SimulatedProcess, type TimerSite } from "./simulated-process.ts";
import { watchedStore } from "./watched-store.ts";

/** What clocks show when true time is 0: an ordinary day, so that no clock that is behind shows less than 0. */
const beginning = 1_700_000_000_000;

export interface WorldOptions {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly coverage: Coverage;
  /** Receives what happens, line by line. */
  readonly onTrace: ((line: string) => void) | undefined;
  /** What is wrong with the store, where a mutant is tried. */
  readonly mutateStore: (store: EventStore, world: { readonly now: () => number; readonly random: Random }) => EventStore;
}

/** Stands for another store, where messages are kept apart from claims. */
const messageScope = "messages";

/** What a claim is found by. */
export type HandledMessage = Pick<Message, "id" | "key" | "source">;

/** Several processes with one pipeline each, over one store, in one simulated time. */
export class World {
  readonly scenario: Scenario;
  readonly scheduler: Scheduler = new Scheduler();
  readonly random: Random;
  readonly ledger: Ledger = new Ledger(() => this.scheduler.now);
  /** The store itself, which answers at once and never fails: for the model. */
  readonly store: EventStore;
  /** The same for where the joiner keeps messages. */
  readonly entries: EventStore;
  readonly #options: WorldOptions;
  readonly #faults: Faults;
  readonly #watcher: ClaimWatcher;
  readonly #shared: EventStore;
  readonly #bucket: BucketService | undefined;
  readonly #receivers: Receiver[] = [];
  #isClosing = false;

  constructor(options: WorldOptions) {
    const { seed, scenario, coverage, mutateStore } = options;
    const now = (): number => beginning + Math.floor(this.scheduler.now);
    this.scenario = scenario;
    this.random = seededRandom(seed);
    this.#options = options;
    this.#faults = new Faults(this.scenario, this.scheduler, this.random, coverage);
    this.#watcher = new ClaimWatcher({
      now,
      storeClock: scenario.storeClock,
      report: this.ledger.report,
      onDeadLetter: ({ key, id }) => void this.ledger.failuresTold.add(scenario.joiner === "none" ? id : key),
    });
    this.store = memoryEventStore({ clock: { now, after: (delay, callback) => this.scheduler.after(delay, callback) } });
    this.entries = scenario.claimsApart ? this.store.scope(messageScope) : this.store;
    this.#bucket = scenario.store === "memory" ? undefined : new BucketService(now);
    const watched = watchedStore(this.store, this.#watcher);
    this.#shared = mutateStore(this.#bucket?.limit(watched) ?? watched, { now, random: this.random });
    for (let worker = 0; worker < scenario.workers; worker += 1) this.#start(worker, 1, this.#drawClockError());
    this.scheduler.after(scenario.faultsUntil, () => this.#endHangs());
  }

  readonly trace: (text: () => string) => void = (text) => {
    this.#options.onTrace?.(`${(this.scheduler.now / 1_000).toFixed(3).padStart(8)} ${text()}`);
  };

  /** One of the processes that live. */
  readonly receiver: () => Receiver | undefined = () => {
    const alive = this.#receivers.filter(({ process }) => process.alive);
    return alive[this.random.below(alive.length)];
  };

  /** Lets only one process go on, when all that is left to do is sweeping. */
  close(): void {
    this.#isClosing = true;
    for (const { process } of this.#receivers.filter((receiver) => receiver.process.alive).slice(1)) process.crash();
  }

  #start(worker: number, life: number, clockError: ClockError): void {
    const { scenario, scheduler, random, ledger, trace } = this;
    const process = new SimulatedProcess(`w${worker}.${life}`, { scheduler, random, faults: this.#faults, trace }, clockError);
    const stored = (scope: string, key: string, source: string) => this.#watcher.stored(scope, key, source);
    const view = { process, claims: stored, clock: scenario.storeClock };
    const pauses = process.clock(() => "pause timer");
    const open = (...path: readonly string[]): EventStore => {
      const shared = path.reduce((outer, name) => outer.scope(name), this.#shared);
      const requests = processStore(shared, view);
      if (this.#bucket === undefined || scenario.store === "memory") return requests;
      return bucketStore(requests, { service: this.#bucket, kind: scenario.store, clock: pauses, random: () => random.next() }, path);
    };
    const store = open();
    const entries = scenario.claimsApart ? open(messageScope) : store;
    const service = orderService({
      process,
      store,
      entries,
      scenario,
      ledger,
      random,
      isStale: (message, fence) => this.#watcher.isStale(...this.#claimOf(message), fence),
    });
    const every = 1_500;
    // Claims look at the clock several times in a third of their lease; only the look that finds one of them due renews it.
    const isRenewal = (delay: number): boolean => delay === 250;
    const siteOf: TimerSite = (delay) => (isRenewal(delay) ? "renewal timer" : "pause timer");
    const siteOfSweeping: TimerSite = (delay) => (delay >= every / 2 && !isRenewal(delay) ? "sweep timer" : siteOf(delay));
    this.#receivers[worker] = { process, service, clock: process.clock(siteOf) };
    if (scenario.sweeps) startSweeping(service, { every, clock: process.clock(siteOfSweeping), random: () => random.next() });
    process.onDeath(() => {
      if (!this.#isClosing) scheduler.after(random.between(50, 4_000), () => this.#start(worker, life + 1, clockError));
    });
  }

  /** How often it was recorded that what a message stands for is done. */
  completionsOf(message: HandledMessage): number {
    return this.#watcher.completions(...this.#claimOf(message));
  }

  #claimOf({ id, key, source }: HandledMessage): readonly [scope: string, key: string, source: string] {
    return this.scenario.joiner === "once" ? ["joiner", key, outcomeEntry] : ["idempotency", JSON.stringify([source, id]), claimEntry];
  }

  #drawClockError(): ClockError {
    const { skew } = this.scenario;
    if (skew === 0) return { offset: beginning, rate: 1 };
    return { offset: beginning + this.random.between(-skew, skew), rate: this.random.between(0.999, 1.001) };
  }

  /** A process with a call that is never answered is restarted by whoever looks after it. */
  #endHangs(): void {
    for (const { process } of this.#receivers) if (process.alive && process.hangs) process.crash();
  }
}
