import type { Clock } from "../../src/clock.ts";
import type { CallSite } from "./call-sites.ts";
import type { FaultKind } from "./coverage.ts";
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

import { EventDriverError } from "../../src/errors.ts";

export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly trace: (text: () => string) => void;
}

export interface Call {
  readonly site: CallSite;
  /** What it is about, for the trace. */
  readonly about: string;
  readonly isRead: boolean;
  readonly signal: AbortSignal | undefined;
}

/** How one process's clock differs from the true time. */
export interface ClockError {
  readonly offset: number;
  /** Milliseconds on this clock for each true one. */
  readonly rate: number;
}

/** Which timer a delay belongs to. */
export type TimerSite = (delay: number) => CallSite;

/**
 * One life of a process. What it calls has an effect outside of it after a while, and is answered after another; when it dies nothing it waits for
 * settles any more, while what is on its way still arrives.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly #surroundings: Surroundings;
  readonly #clockError: ClockError;
  readonly #troubles: number[] = [];
  readonly #mourners = new Set<() => void>();
  #alive = true;
  #hangs = false;
  #resumesAt = 0;

  constructor(name: string, surroundings: Surroundings, clockError: ClockError) {
    this.name = name;
    this.#surroundings = surroundings;
    this.#clockError = clockError;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether a call of it will never be answered. */
  get hangs(): boolean {
    return this.#hangs;
  }

  /** Whether anything was wrong with it in this time: only then may its work be done again by another. */
  hadTrouble(from: number, until: number): boolean {
    return this.#troubles.some((at) => at >= from && at <= until);
  }

  clock(siteOf: TimerSite): Clock {
    const { scheduler } = this.#surroundings;
    const { offset, rate } = this.#clockError;
    return {
      now: () => Math.floor(scheduler.now * rate + offset),
      after: (delay, callback) => this.#setTimer(siteOf(delay), delay / rate, callback),
    };
  }

  /** Runs `callback` in this process after `delay`: not when it is dead by then, later when it is paused. */
  later(delay: number, callback: () => void): () => void {
    return this.#surroundings.scheduler.after(delay, () => this.#enter(callback));
  }

  /** Has `callback` run, outside of this process, when it dies. */
  onDeath(callback: () => void): () => void {
    this.#mourners.add(callback);
    return () => this.#mourners.delete(callback);
  }

  noteTrouble(): void {
    this.#troubles.push(this.#surroundings.scheduler.now);
  }

  crash(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.noteTrouble();
    this.#surroundings.trace(() => `${this.name} dies`);
    for (const mourner of this.#mourners) mourner();
  }

  pause(): void {
    const { scheduler, random, trace } = this.#surroundings;
    this.noteTrouble();
    this.#resumesAt = Math.max(this.#resumesAt, scheduler.now + random.between(300, 13_000));
    scheduler.after(this.#resumesAt - scheduler.now, () => this.noteTrouble());
    trace(() => `${this.name} stands still until ${Math.round(this.#resumesAt)}`);
  }

  /** Makes a call to something outside of this process, with whatever goes wrong with it. */
  call<Result>(call: Call, effect: () => Promise<Result>): Promise<Result> {
    if (!this.#alive) return never();
    if (call.signal?.aborted) return Promise.reject(call.signal.reason);
    const fault = this.#surroundings.faults.draw(call.site);
    this.#surroundings.trace(() => `${this.name} ${call.site} ${call.about}${fault ? ` !! ${fault}` : ""}`);
    if (fault !== undefined) this.noteTrouble();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.noteTrouble();
        reject(call.signal?.reason);
      };
      call.signal?.addEventListener("abort", onAbort, { once: true });
      this.#perform(fault, call, effect, resolve, reject);
    });
  }

  #perform<Result>(
    fault: FaultKind | undefined,
    { site, about, isRead }: Call,
    effect: () => Promise<Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ): void {
    const { scheduler, random, trace } = this.#surroundings;
    const run = (): Promise<Result> => {
      trace(() => `.. ${this.name} ${site} ${about} takes effect`);
      const result = effect();
      result.catch(() => undefined);
      return result;
    };
    const answer = (delay: number): void => {
      const result = run();
      const settle = (): void => void result.then(resolve, reject);
      if (delay === 0) this.#enter(settle);
      else this.later(delay, settle);
    };
    const fail = (): void => reject(unavailable(site, about));
    const way = random.between(0, 20);
    const back = random.chance(0.5) ? 0 : random.between(0, 20);
    const long = random.between(500, 9_000);
    switch (fault) {
      case undefined:
        scheduler.after(way, () => answer(back));
        break;
      case "pause":
        if (random.chance(0.5)) this.pause();
        else scheduler.after(way, () => this.pause());
        scheduler.after(way, () => answer(back));
        break;
      case "slow":
        scheduler.after(way, () => answer(long));
        scheduler.after(way + long, () => this.noteTrouble());
        break;
      case "late":
        if (isRead) scheduler.after(way, () => answer(long));
        else {
          this.later(way + back, fail);
          scheduler.after(way + back + long, () => void run());
        }
        scheduler.after(way + long, () => this.noteTrouble());
        break;
      case "error before":
        this.later(way, fail);
        break;
      case "error after":
        scheduler.after(way, () => {
          void run();
          this.later(back, fail);
        });
        break;
      case "hang":
        this.#hangs = true;
        if (random.chance(0.5)) scheduler.after(way, () => void run());
        break;
      case "crash before":
        this.crash();
        break;
      case "crash after":
        scheduler.after(way, () => {
          void run();
          this.crash();
        });
        break;
      default:
        fault satisfies never;
    }
  }

  #setTimer(site: CallSite, delay: number, callback: () => void): () => void {
    const { scheduler, random, faults, trace } = this.#surroundings;
    let isSet = true;
    const fire = (): void => {
      if (isSet) callback();
    };
    const due = (): void => {
      if (!isSet) return;
      const fault = faults.draw(site);
      if (fault === undefined) return fire();
      trace(() => `${this.name} ${site} !! ${fault}`);
      this.noteTrouble();
      if (fault === "crash before") return this.crash();
      if (fault === "pause") this.pause();
      if (fault === "crash after") scheduler.after(0, () => this.crash());
      this.later(fault === "late" ? random.between(500, 9_000) : 0, fire);
    };
    const cancel = this.later(delay, due);
    return () => {
      isSet = false;
      cancel();
    };
  }

  #enter(callback: () => void): void {
    if (!this.#alive) return;
    const wait = this.#resumesAt - this.#surroundings.scheduler.now;
    if (wait > 0) this.later(wait, callback);
    else callback();
  }
}

export function never(): Promise<never> {
  return new Promise(() => undefined);
}

function unavailable(site: CallSite, about: string): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `${site} ${about}: no answer; unknown whether it was done`,
    retryable: true,
  });
}
