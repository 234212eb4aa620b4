import type { Message } from "../message.ts";
import type { DeadLetterCondition } from "./filter.ts";

import { type Clock, sleep, systemClock } from "../clock.ts";
import { type DeadLetter } from "../handlers/dead-letter/entry.ts";
import { invalidOption } from "../errors.ts";
import { conditionOf } from "./filter.ts";

export interface RedriveOptions {
  /**
   * Which dead letters are redriven: a filter, or a function. What waits behind a message of its key goes with that.
   * @default all
   */
  readonly where?: DeadLetterCondition;
  /**
   * At most so many messages.
   * @default Infinity
   */
  readonly limit?: number;
  /**
   * At most so many messages a second.
   * @default Infinity
   */
  readonly rate?: number;
  /**
   * Only counts what would be redriven.
   * @default false
   */
  readonly dryRun?: boolean;
  /** Aborting ends it after the message that is under way; the report says what was done until then. */
  readonly signal?: AbortSignal | undefined;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A message that was not redriven. Its dead letter is still there. */
export interface FailedRedrive {
  readonly message: Pick<Message, "id" | "key" | "source" | "origin">;
  readonly error: unknown;
}

/** What a redrive has done. */
export interface RedriveReport {
  /** How many messages were processed, or published; with `dryRun`, would be. */
  readonly redriven: number;
  /** How many were left as they are because somebody else redrives them, and how many had been done before: those are removed. */
  readonly skipped: number;
  readonly failed: readonly FailedRedrive[];
  /** Whether it ended because of its limit or its signal, so that there may be more. */
  readonly more: boolean;
}

/** One redrive under way: what is asked for, and what was done. */
export class RedriveRun {
  readonly selects: (letter: DeadLetter) => boolean;
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  redriven = 0;
  skipped = 0;
  readonly failed: FailedRedrive[] = [];
  readonly #limit: number;
  readonly #pause: number;
  #nextAt = -Infinity;
  #begun = 0;
  #isCut = false;

  /** @throws EventDriverError `ERR_INVALID_OPTION` */
  constructor(factory: string, options: RedriveOptions) {
    const { where, limit = Infinity, rate = Infinity, dryRun = false, signal, clock = systemClock } = options;
    if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 1))
      throw invalidOption(factory, "limit", limit, "a whole number from 1, or Infinity");
    if (!(rate > 0)) throw invalidOption(factory, "rate", rate, "messages a second, above 0");
    if (typeof dryRun !== "boolean") throw invalidOption(factory, "dryRun", dryRun, "true or false");
    this.selects = conditionOf(factory, where);
    this.dryRun = dryRun;
    this.clock = clock;
    this.signal = signal;
    this.#limit = limit;
    this.#pause = 1_000 / rate;
  }

  /** Whether it ends before it has seen everything. */
  get isCut(): boolean {
    return this.#isCut || this.#begun >= this.#limit || (this.signal?.aborted ?? false);
  }

  /** Waits until the next message may go; `false` when none may any more. */
  async mayGoOn(): Promise<boolean> {
    if (this.isCut) return false;
    await this.#waitForTurn();
    if (this.isCut) return false;
    this.#begun += 1;
    return true;
  }

  /** One that would go. */
  count(): void {
    if (this.isCut) return;
    this.#begun += 1;
    this.redriven += 1;
  }

  fail({ id, key, source, origin }: FailedRedrive["message"], error: unknown): void {
    this.failed.push({ message: { id, key, source, ...(origin !== undefined && { origin }) }, error });
  }

  report(): RedriveReport {
    const { redriven, skipped, failed, isCut } = this;
    return { redriven, skipped, failed, more: isCut };
  }

  async #waitForTurn(): Promise<void> {
    const now = this.clock.now();
    const wait = this.#nextAt - now;
    this.#nextAt = Math.max(now, this.#nextAt) + this.#pause;
    if (!(wait > 0)) return;
    const [slept] = await Promise.allSettled([sleep(this.clock, wait, this.signal)]);
    this.#isCut = slept.status === "rejected";
  }
}
