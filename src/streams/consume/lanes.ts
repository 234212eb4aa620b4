import type { Clock } from "../../clock.ts";

export interface LanesOptions<Job> {
  /** How many lanes are worked on side by side. */
  readonly limit: number;
  readonly clock: Clock;
  /** Works on a job; never rejects. Resolves with the milliseconds after which it is to be run again, or `undefined` when it has ended. */
  readonly run: (job: Job) => Promise<number | undefined>;
  /** Takes a job that will not be run any more; never rejects. */
  readonly giveBack: (job: Job) => Promise<void>;
}

interface Lane<Job> {
  readonly name: string;
  /** The first one is being worked on, or is the next. */
  readonly jobs: Job[];
  /** Set while its first job waits to be run again. */
  cancelWait: (() => void) | undefined;
}

/**
 * Runs jobs in lanes: in one lane one after another, as they came, and so many lanes side by side.
 *
 * A job that waits to be run again holds back its lane and takes nobody's place. Lanes take turns after every job.
 */
export class Lanes<Job> {
  readonly #options: LanesOptions<Job>;
  readonly #lanes = new Map<string, Lane<Job>>();
  /** Those with something to do and nobody on it, the longest waiting first. */
  readonly #ready = new Set<Lane<Job>>();
  readonly #whenIdle: (() => void)[] = [];
  #running = 0;
  #givingBack = 0;
  #stopping = false;

  constructor(options: LanesOptions<Job>) {
    this.#options = options;
  }

  add(name: string, job: Job): void {
    if (this.#stopping) return void this.#giveBackAll([job]);
    const lane = this.#lanes.get(name);
    if (lane !== undefined) return void lane.jobs.push(job);
    const fresh: Lane<Job> = { name, jobs: [job], cancelWait: undefined };
    this.#lanes.set(name, fresh);
    this.#ready.add(fresh);
    this.#startMore();
  }

  /** Takes out a job that nobody needs any more; one that is being worked on ends as it would. */
  remove(name: string, job: Job): boolean {
    const lane = this.#lanes.get(name);
    const place = lane?.jobs.indexOf(job) ?? -1;
    if (lane === undefined || place === -1) return false;
    const isWaiting = this.#ready.has(lane) || lane.cancelWait !== undefined;
    if (place === 0 && !isWaiting) return false;
    lane.jobs.splice(place, 1);
    if (place === 0) this.#skipWait(lane);
    return true;
  }

  /** Begins nothing more and gives back what has not begun, or waits to be run again. Resolves when what runs has ended. */
  stop(): Promise<void> {
    this.#stopping = true;
    for (const lane of this.#lanes.values()) {
      if (!this.#ready.has(lane) && lane.cancelWait === undefined) continue;
      lane.cancelWait?.();
      this.#empty(lane);
    }
    this.#ready.clear();
    return this.#idle() ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** What the lane waited for has gone. */
  #skipWait(lane: Lane<Job>): void {
    lane.cancelWait?.();
    lane.cancelWait = undefined;
    if (lane.jobs.length > 0) this.#ready.add(lane);
    else {
      this.#ready.delete(lane);
      this.#lanes.delete(lane.name);
    }
    this.#startMore();
  }

  #startMore(): void {
    for (const lane of this.#ready) {
      if (this.#running >= this.#options.limit) return;
      const job = lane.jobs[0];
      this.#ready.delete(lane);
      if (job === undefined) continue;
      this.#running += 1;
      void this.#runFirst(lane, job);
    }
  }

  async #runFirst(lane: Lane<Job>, job: Job): Promise<void> {
    const wait = await this.#options.run(job);
    this.#running -= 1;
    if (wait === undefined) lane.jobs.shift();
    if (this.#stopping) this.#empty(lane);
    else if (lane.jobs.length === 0) this.#lanes.delete(lane.name);
    else if (wait === undefined) this.#ready.add(lane);
    else this.#wait(lane, wait);
    this.#startMore();
    this.#tellIdle();
  }

  #wait(lane: Lane<Job>, delay: number): void {
    lane.cancelWait = this.#options.clock.after(delay, () => {
      lane.cancelWait = undefined;
      this.#ready.add(lane);
      this.#startMore();
    });
  }

  #empty(lane: Lane<Job>): void {
    this.#lanes.delete(lane.name);
    void this.#giveBackAll(lane.jobs.splice(0));
  }

  /** One after another, so that they come to the broker in their order. */
  async #giveBackAll(jobs: readonly Job[]): Promise<void> {
    this.#givingBack += 1;
    for (const job of jobs) await this.#options.giveBack(job);
    this.#givingBack -= 1;
    this.#tellIdle();
  }

  #idle(): boolean {
    return this.#running === 0 && this.#givingBack === 0;
  }

  #tellIdle(): void {
    if (this.#idle()) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
