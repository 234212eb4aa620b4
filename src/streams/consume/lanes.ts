import type { Clock } from "../../clock.ts";

import { ByName } from "../by-name.ts";
import { LinkedList, type Listed } from "../linked-list.ts";

export interface LanesOptions<Job> {
  /** How many lanes are worked on side by side. */
  readonly limit: number;
  readonly clock: Clock;
  /** Works on a job; never rejects. Resolves with the milliseconds after which it is to be run again, or `undefined` when it has ended. */
  readonly run: (job: Job) => Promise<number | undefined>;
  /** Takes a job that will not be run any more; never rejects. */
  readonly giveBack: (job: Job) => Promise<void>;
}

/** Where jobs wait for one another. */
export interface Lane<Job> extends Listed<Lane<Job>> {
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
  readonly #named = new ByName<Lane<Job>>({ make: emptyLane, isIdle: ({ jobs }) => jobs.length === 0 });
  /** Those with something to do and nobody on it, the longest waiting first. */
  readonly #ready = new LinkedList<Lane<Job>>();
  /** Those whose first job waits to be run again. */
  readonly #waiting = new LinkedList<Lane<Job>>();
  readonly #whenIdle: (() => void)[] = [];
  #running = 0;
  #givingBack = 0;
  #stopping = false;

  constructor(options: LanesOptions<Job>) {
    this.#options = options;
  }

  /** Behind all that are in the lane of this name; without a name, behind nobody. */
  add(name: string | undefined, job: Job): Lane<Job> {
    const lane = name === undefined ? emptyLane<Job>() : this.#named.of(name);
    if (this.#stopping) void this.#giveBackAll([job]);
    else if (lane.jobs.push(job) === 1) {
      this.#ready.add(lane);
      this.#startMore();
    }
    return lane;
  }

  /** Takes out a job that nobody needs any more; one that is being worked on ends as it would. */
  remove(lane: Lane<Job>, job: Job): boolean {
    const place = lane.jobs.indexOf(job);
    if (place === -1) return false;
    const isWaiting = this.#ready.has(lane) || this.#waiting.has(lane);
    if (place === 0 && !isWaiting) return false;
    lane.jobs.splice(place, 1);
    if (place === 0) this.#skipWait(lane);
    return true;
  }

  /** Begins nothing more and gives back what has not begun, or waits to be run again. Resolves when what runs has ended. */
  stop(): Promise<void> {
    this.#stopping = true;
    for (const lane of [...this.#ready, ...this.#waiting]) {
      this.#endWait(lane);
      this.#empty(lane);
    }
    return this.#idle() ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** What the lane waited for has gone. */
  #skipWait(lane: Lane<Job>): void {
    this.#endWait(lane);
    if (lane.jobs.length > 0) this.#ready.add(lane);
    this.#startMore();
  }

  #endWait(lane: Lane<Job>): void {
    lane.cancelWait?.();
    lane.cancelWait = undefined;
    if (!this.#ready.delete(lane)) this.#waiting.delete(lane);
  }

  #startMore(): void {
    while (this.#running < this.#options.limit) {
      const lane = this.#ready.first;
      const job = lane?.jobs[0];
      if (lane === undefined || job === undefined) return;
      this.#ready.delete(lane);
      this.#running += 1;
      void this.#runFirst(lane, job);
    }
  }

  async #runFirst(lane: Lane<Job>, job: Job): Promise<void> {
    const wait = await this.#options.run(job);
    this.#running -= 1;
    if (wait === undefined) lane.jobs.shift();
    if (this.#stopping) this.#empty(lane);
    else if (lane.jobs.length > 0 && wait === undefined) this.#ready.add(lane);
    else if (wait !== undefined) this.#wait(lane, wait);
    this.#startMore();
    this.#tellIdle();
  }

  #wait(lane: Lane<Job>, delay: number): void {
    this.#waiting.add(lane);
    lane.cancelWait = this.#options.clock.after(delay, () => this.#skipWait(lane));
  }

  #empty(lane: Lane<Job>): void {
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

function emptyLane<Job>(): Lane<Job> {
  return { jobs: [], cancelWait: undefined, list: undefined, before: undefined, after: undefined };
}
