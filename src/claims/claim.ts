import type { Context } from "../context.ts";
import type { Revision } from "../stores/event-store.ts";
import type { ClaimRecord, ClaimRules, FoundClaim } from "./claim-record.ts";

import { sleep } from "../clock.ts";
import { followInterrupt, type Interrupt, liveSignal } from "../context.ts";
import { EventDriverError, isEventDriverError, isRetryable, isRevisionConflict, quote } from "../errors.ts";
import { decodeClaim, encodeClaim } from "./claim-record.ts";

/** What a new owner sets; the rest follows from whom it takes over. */
export interface ClaimStart extends Pick<ClaimRecord, "trigger" | "fingerprint" | "original" | "data" | "body"> {
  readonly phase: "running" | "sealing";
}

/** Either the claim is ours, or this is who has it; `undefined` when it has gone again. */
export type ClaimAttempt = { readonly claim: Claim } | { readonly claim: undefined; readonly found: FoundClaim | undefined };

/** Looks a claim up; `undefined` when there is none. */
export async function findClaim(rules: ClaimRules, ctx: Context, key: string): Promise<FoundClaim | undefined> {
  const stored = await rules.store.lookUp(key, rules.source, { signal: liveSignal(ctx) });
  return stored && decodeClaim(stored, rules, ctx.clock.now());
}

/** Whether someone else may have it: it was released, or its owner's time is over. */
export function isTakeable({ record, leaseOver }: FoundClaim): boolean {
  return record.phase === "released" || ((record.phase === "running" || record.phase === "sealing") && leaseOver);
}

/**
 * Claims a key that nobody has, or takes over exactly the claim that was found.
 *
 * Over an unclear answer it reads back. A write that seems not to have happened may still land, and then holds the key for one lease, no longer.
 */
export async function startClaim(
  rules: ClaimRules,
  ctx: Context,
  key: string,
  previous: FoundClaim | undefined,
  start: ClaimStart,
): Promise<ClaimAttempt> {
  const now = ctx.clock.now();
  const owner = crypto.randomUUID();
  const record: ClaimRecord = {
    ...kept(previous?.record),
    ...start,
    owner,
    token: `${owner}/0`,
    fence: previous === undefined ? now : Math.max(previous.record.fence + 1, now),
    starts:
      previous === undefined || previous.record.phase === "released" || previous.record.phase === "failed" ? 1 : previous.record.starts + 1,
    lease: rules.lease,
    writtenAt: now,
  };
  try {
    const options = { expected: previous?.revision ?? "absent", signal: liveSignal(ctx), ...rules.times(record, now) };
    const revision = await rules.store.persist(encodeClaim(key, rules.source, record), options);
    return { claim: new Claim(rules, ctx, key, record, revision) };
  } catch (error) {
    const found = await readBack(rules, ctx, key, error);
    if (found?.record.token === record.token) return { claim: new Claim(rules, ctx, key, found.record, found.revision) };
    if (isRevisionConflict(error)) return { claim: undefined, found };
    throw error;
  }
}

/**
 * Changes a claim that was found, without owning it. Resolves to `false` when it is no longer as found: then someone else has decided.
 *
 * It is nobody's afterwards, so that an owner that comes back does not take the change for a write of its own.
 */
export async function changeClaim(
  rules: ClaimRules,
  ctx: Context,
  key: string,
  found: FoundClaim,
  change: Partial<ClaimRecord>,
): Promise<boolean> {
  const now = ctx.clock.now();
  const record: ClaimRecord = { ...found.record, ...change, owner: crypto.randomUUID(), token: crypto.randomUUID(), writtenAt: now };
  try {
    await rules.store.persist(encodeClaim(key, rules.source, record), { expected: found.revision, ...rules.times(record, now) });
    return true;
  } catch (error) {
    if (isRevisionConflict(error)) return false;
    throw error;
  }
}

/**
 * A claim that this process owns.
 *
 * Its writes queue behind one another and are compare-and-set on its own revision, so whoever has lost it can change nothing any more. It renews
 * itself at a third of the lease until it is ended.
 */
export class Claim {
  readonly key: string;
  readonly fence: number;
  /** Aborts, with the `ERR_LEASE_LOST` error, when someone else has taken over; and when the context it was made in aborts. */
  readonly interrupt: Interrupt;
  readonly #rules: ClaimRules;
  readonly #ctx: Context;
  #record: ClaimRecord;
  #revision: Revision;
  #writes = 0;
  #tail: Promise<unknown> | undefined;
  #lost: EventDriverError | undefined;
  #cancelRenewal: () => void;

  constructor(rules: ClaimRules, ctx: Context, key: string, record: ClaimRecord, revision: Revision) {
    this.#rules = rules;
    this.#ctx = ctx;
    this.key = key;
    this.fence = record.fence;
    this.interrupt = followInterrupt(ctx);
    this.#record = record;
    this.#revision = revision;
    this.#cancelRenewal = this.#scheduleRenewal();
  }

  get record(): ClaimRecord {
    return this.#record;
  }

  /** Set when someone else has taken over. */
  get lost(): EventDriverError | undefined {
    return this.#lost;
  }

  /** Makes sure that the lease holds before work begins: renews it first where it has run out on our own clock. */
  async ensureLease(): Promise<void> {
    if (this.#lost) throw this.#lost;
    if (this.#leaseLeft() <= 0) await this.update();
    if (this.#leaseLeft() <= 0) throw outlasted(this.key, this.#record.lease);
  }

  /** Changes what is kept with the claim, and renews it. */
  update(change: (record: ClaimRecord) => Partial<ClaimRecord> = unchanged): Promise<void> {
    return this.#enqueue(() => this.#write(change, this.#record.lease));
  }

  /** Ends it. Tries until the lease is over, for a completion that is not recorded means that the work is done again. */
  async end(change: Partial<ClaimRecord> & { readonly phase: "done" | "failed" }): Promise<void> {
    this.#cancelRenewal();
    await this.#enqueue(() => this.#write(() => change, Math.max(this.#leaseLeft(), 1)));
  }

  /** Lets others claim it at once. Not insisted on: where it cannot be recorded, the lease runs out. */
  async release(change: Partial<ClaimRecord> = {}): Promise<void> {
    this.#cancelRenewal();
    try {
      await this.#enqueue(() => this.#write(() => ({ ...change, phase: "released" }), 0));
    } catch (error) {
      this.#ctx.logger.warn({ err: error, key: this.key }, "a claim could not be released; it can be claimed again when its lease is over");
    }
  }

  #leaseLeft(): number {
    return this.#record.writtenAt + this.#record.lease - this.#ctx.clock.now();
  }

  #scheduleRenewal(): () => void {
    return this.#ctx.clock.after(this.#record.lease / 3, () => {
      this.#cancelRenewal = this.#scheduleRenewal();
      this.update().catch((error: unknown) => {
        if (!this.#lost) this.#ctx.logger.warn({ err: error, key: this.key }, "a claim could not be renewed yet");
      });
    });
  }

  #enqueue<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail === undefined ? work() : this.#tail.then(work);
    const settled = (): void => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    const tail = result.then(settled, settled);
    this.#tail = tail;
    return result;
  }

  /** Writes once, and again over unclear answers for `patience` milliseconds, unless it turns out that the claim is lost. */
  async #write(change: (record: ClaimRecord) => Partial<ClaimRecord>, patience: number): Promise<void> {
    const { clock } = this.#ctx;
    const giveUpAt = clock.now() + patience;
    for (let pause = 20; ; pause *= 2) {
      if (this.#lost) throw this.#lost;
      const error = await this.#writeOnce(change(this.#record));
      if (error === undefined) return;
      if (!isRetryable(error.value) || clock.now() + pause >= giveUpAt) throw error.value;
      await sleep(clock, pause);
    }
  }

  async #writeOnce(change: Partial<ClaimRecord>): Promise<{ readonly value: unknown } | undefined> {
    const rules = this.#rules;
    this.#writes += 1;
    const record: ClaimRecord = {
      ...this.#record,
      ...change,
      token: `${this.#record.owner}/${this.#writes}`,
      writtenAt: this.#ctx.clock.now(),
    };
    const message = encodeClaim(this.key, rules.source, record);
    try {
      const revision = await rules.store.persist(message, { expected: this.#revision, ...rules.times(record, record.writtenAt) });
      this.#landed(record, revision);
      return undefined;
    } catch (error) {
      return this.#resolve(record, error);
    }
  }

  /** Finds out what an unclear answer meant. Resolves to the error while the write may be tried again. */
  async #resolve(record: ClaimRecord, error: unknown): Promise<{ readonly value: unknown } | undefined> {
    const found = await readBack(this.#rules, this.#ctx, this.key, error).catch((unread: unknown) => ({ unread }));
    if (found !== undefined && "unread" in found) return { value: error };
    if (found?.record.token === record.token) {
      this.#landed(record, found.revision);
      return undefined;
    }
    if (found?.record.owner !== record.owner || found.record.fence !== record.fence) {
      this.#lose(error);
      throw this.#lost;
    }
    // An older write of ours landed late, or this one has not landed yet: go on from what is there, and keep what it holds.
    this.#landed(found.record, found.revision);
    return { value: error };
  }

  #landed(record: ClaimRecord, revision: Revision): void {
    this.#record = record;
    this.#revision = revision;
  }

  #lose(cause: unknown): void {
    this.#cancelRenewal();
    this.#lost = new EventDriverError("ERR_LEASE_LOST", {
      message: `the claim on ${quote(this.key)} was taken over by another owner; what this one has done may be done again`,
      retryable: true,
      cause,
    });
    this.interrupt.abort(this.#lost);
  }
}

function outlasted(key: string, lease: number): EventDriverError {
  return new EventDriverError("ERR_LEASE_LOST", {
    message: `the claim on ${quote(key)} ran out while it was being renewed; deliver the message again, and let a lease, ${lease} ms, last longer than the slowest answer of the store`,
    retryable: true,
  });
}

async function readBack(rules: ClaimRules, ctx: Context, key: string, error: unknown): Promise<FoundClaim | undefined> {
  try {
    const stored = await rules.store.lookUp(key, rules.source);
    return stored && decodeClaim(stored, rules, ctx.clock.now());
  } catch (cause) {
    if (isEventDriverError(cause) && cause.code === "ERR_STORE_CORRUPT") throw cause;
    throw error;
  }
}

function kept(record: ClaimRecord | undefined): Partial<ClaimRecord> {
  if (record === undefined) return {};
  const { steps, data, body, fingerprint, original } = record;
  return {
    ...(steps && { steps }),
    ...(data !== undefined && { data, body }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(original !== undefined && { original }),
  };
}

function unchanged(): Partial<ClaimRecord> {
  return {};
}
