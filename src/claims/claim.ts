import type { Context } from "../context.ts";
import type { Place, Timed } from "../pipeline/race.ts";
import type { Revision } from "../stores/event-store.ts";
import type { ClaimRecord, ClaimRules, FoundClaim } from "./claim-record.ts";

import { sleep } from "../clock.ts";
import { Interrupt, interruptOf, liveSignal } from "../context.ts";
import { EventDriverError, isEventDriverError, isRetryable, isRevisionConflict, quote } from "../errors.ts";
import { nothing } from "../stores/event-store.ts";
import { decodeClaim, encodeClaim, isUnderWay, tokenOf } from "./claim-record.ts";

/** What a new owner sets; the rest follows from whom it takes over. */
export interface ClaimStart extends Pick<ClaimRecord, "trigger"> {
  readonly phase: "running" | "sealing";
  /** What else is kept with it, where there is anything. */
  readonly kept?: Pick<ClaimRecord, "fingerprint" | "original" | "data" | "body">;
}

/** Either the claim is ours, or this is who has it; `undefined` when it has gone again. */
export type ClaimAttempt = { readonly claim: Claim } | { readonly claim: undefined; readonly found: FoundClaim | undefined };

/** Looks a claim up; `undefined` when there is none. */
export function findClaim(rules: ClaimRules, ctx: Context, key: string): Promise<FoundClaim | undefined> {
  const looked = rules.store.lookUp(key, rules.source, { signal: liveSignal(ctx) });
  return looked === nothing ? nothing : looked.then((stored) => decodeClaim(stored, rules, ctx));
}

/** Whether someone else may have it: it was released, or its owner's time is over. */
export function isTakeable({ record, leaseOver }: FoundClaim): boolean {
  return record.phase === "released" || (isUnderWay(record) && leaseOver);
}

/**
 * Claims a key that nobody has, or takes over exactly the claim that was found.
 *
 * Over an unclear answer it reads back. A write that seems not to have happened may still land, and then holds the key for one lease, no longer.
 */
export function startClaim(
  rules: ClaimRules,
  ctx: Context,
  key: string,
  previous: FoundClaim | undefined,
  start: ClaimStart,
): Promise<ClaimAttempt> {
  const now = ctx.clock.now();
  const owner = rules.nameOwner();
  const record: ClaimRecord = {
    phase: start.phase,
    trigger: start.trigger,
    owner,
    token: tokenOf(owner, 0),
    fence: previous === undefined ? now : Math.max(previous.record.fence + 1, now),
    starts: previous && isUnderWay(previous.record) ? previous.record.starts + 1 : 1,
    lease: rules.lease,
    writtenAt: now,
    ...(previous && kept(previous.record)),
    ...start.kept,
  };
  return persist(rules, key, record, previous?.revision ?? "absent", liveSignal(ctx)).then(
    (revision) => ({ claim: new Claim(rules, ctx, key, record, revision) }),
    async (error: unknown) => {
      const found = await readBack(rules, ctx, key, error);
      if (found?.record.token === record.token) return { claim: new Claim(rules, ctx, key, found.record, found.revision) };
      if (isRevisionConflict(error)) return { claim: undefined, found };
      throw error;
    },
  );
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
  const owner = rules.nameOwner();
  const record: ClaimRecord = { ...found.record, ...change, owner, token: tokenOf(owner, 1), writtenAt: now };
  try {
    await persist(rules, key, record, found.revision);
    return true;
  } catch (error) {
    if (isRevisionConflict(error)) return false;
    throw error;
  }
}

/**
 * A claim that this process owns.
 *
 * It is itself what interrupts the work under it: it aborts, with the `ERR_LEASE_LOST` error, when someone else has taken over; and when the context it was
 * made in aborts.
 *
 * Its writes queue behind one another and are compare-and-set on its own revision, so whoever has lost it can change nothing any more. It renews
 * itself at a third of the lease until it is ended.
 */
export class Claim extends Interrupt implements Timed {
  declare readonly key: string;
  /** When it is to be renewed next. */
  declare deadline: number;
  readonly #rules: ClaimRules;
  readonly #ctx: Context;
  #record: ClaimRecord;
  #revision: Revision;
  #writes = 0;
  #isWriting = false;
  /** Whoever waits for its turn to write. */
  #queue: (() => void)[] | undefined;
  #lost: EventDriverError | undefined;
  #place: Place<Timed>;

  constructor(rules: ClaimRules, ctx: Context, key: string, record: ClaimRecord, revision: Revision) {
    super(true, interruptOf(ctx));
    this.#rules = rules;
    this.#ctx = ctx;
    this.key = key;
    this.#record = record;
    this.#revision = revision;
    this.deadline = record.writtenAt + record.lease / 3;
    this.#place = this.#renewal();
  }

  get record(): ClaimRecord {
    return this.#record;
  }

  /** Set when someone else has taken over. */
  get lost(): EventDriverError | undefined {
    return this.#lost;
  }

  /** Whether the lease holds, by our own clock. */
  get holds(): boolean {
    return this.#lost === undefined && this.#leaseLeft(this.#ctx.clock.now()) > 0;
  }

  /** Makes sure that the lease holds before work begins: renews it first where it has run out on our own clock. */
  async ensureLease(): Promise<void> {
    if (!this.holds) await this.update();
    if (!this.holds) throw leaseLost(this.key, `ran out while it was being renewed; give it a longer lease than ${this.#record.lease} ms`);
  }

  /** Changes what is kept with the claim, and renews it. */
  update(change: (record: ClaimRecord) => Partial<ClaimRecord> = () => ({})): Promise<void> {
    return this.#write(change, this.#record.lease);
  }

  /** Ends it. Tries until the lease is over, for a completion that is not recorded means that the work is done again. */
  end(change: Partial<ClaimRecord> & { readonly phase: "done" | "failed" }): Promise<void> {
    this.#place.leave();
    return this.#write(() => change);
  }

  /** Lets others claim it at once. Not insisted on: where it cannot be recorded, the lease runs out. */
  async release(): Promise<void> {
    this.#place.leave();
    try {
      await this.#write(() => ({ phase: "released" }), 0);
    } catch (error) {
      this.#ctx.logger.warn({ err: error, key: this.key }, "a claim was not released, and waits for the end of its lease");
    }
  }

  #leaseLeft(now: number): number {
    return this.#record.writtenAt + this.#record.lease - now;
  }

  #renewal(): Place<Timed> {
    return this.#rules.renewals.watchClock(this.#ctx.clock).add(this);
  }

  timeOut(): void {
    this.#place.leave();
    this.deadline = this.#ctx.clock.now() + this.#record.lease / 3;
    this.#place = this.#renewal();
    this.update().catch((error: unknown) => {
      if (!this.#lost) this.#ctx.logger.warn({ err: error, key: this.key }, "a claim was not renewed yet");
    });
  }

  /**
   * Writes once, when it is its turn, and again over unclear answers for `patience` milliseconds, or what is left of the lease; unless it turns
   * out that the claim is lost.
   */
  async #write(change: (record: ClaimRecord) => Partial<ClaimRecord>, patience?: number): Promise<void> {
    if (this.#isWriting) await new Promise<void>((resolve) => (this.#queue ??= []).push(resolve));
    this.#isWriting = true;
    const { clock } = this.#ctx;
    let now = clock.now();
    const giveUpAt = now + (patience ?? Math.max(this.#leaseLeft(now), 1));
    try {
      for (let pause = 20; ; pause *= 2) {
        if (this.#lost) throw this.#lost;
        const record = this.#next(change(this.#record), now);
        try {
          return this.#landed(record, await persist(this.#rules, this.key, record, this.#revision));
        } catch (error) {
          if (await this.#hasLanded(record, error)) return;
          if (!isRetryable(error) || clock.now() + pause >= giveUpAt) throw error;
        }
        await sleep(clock, pause);
        now = clock.now();
      }
    } finally {
      const next = this.#queue?.shift();
      this.#isWriting = next !== undefined;
      next?.();
    }
  }

  #next(change: Partial<ClaimRecord>, now: number): ClaimRecord {
    this.#writes += 1;
    return { ...this.#record, ...change, token: tokenOf(this.#record.owner, this.#writes), writtenAt: now };
  }

  /** Finds out what an unclear answer meant: `false` while the write may be tried again. */
  async #hasLanded(record: ClaimRecord, error: unknown): Promise<boolean> {
    const found = await readBack(this.#rules, this.#ctx, this.key, error).catch(() => "unread" as const);
    if (found === "unread") return false;
    if (found?.record.token === record.token) {
      this.#landed(record, found.revision);
      return true;
    }
    if (found?.record.owner !== record.owner || found.record.fence !== record.fence) {
      this.#lose(error);
      throw this.#lost;
    }
    // An older write of ours landed late, or this one has not landed yet: go on from what is there, and keep what it holds.
    this.#landed(found.record, found.revision);
    return false;
  }

  #landed(record: ClaimRecord, revision: Revision): void {
    this.#record = record;
    this.#revision = revision;
  }

  #lose(cause: unknown): void {
    this.#place.leave();
    this.#lost = leaseLost(this.key, "was taken over by another owner; what this one has done may be done again", cause);
    this.abort(this.#lost);
  }
}

function leaseLost(key: string, what: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_LEASE_LOST", { message: `the claim on ${quote(key)} ${what}`, retryable: true, cause });
}

function persist(rules: ClaimRules, key: string, record: ClaimRecord, expected: Revision, signal?: AbortSignal): Promise<Revision> {
  return rules.store.persist(encodeClaim(key, rules.source, record), rules.writing(record, expected, signal));
}

async function readBack(rules: ClaimRules, ctx: Context, key: string, error: unknown): Promise<FoundClaim | undefined> {
  try {
    return decodeClaim(await rules.store.lookUp(key, rules.source), rules, ctx);
  } catch (cause) {
    if (isEventDriverError(cause) && cause.code === "ERR_STORE_CORRUPT") throw cause;
    throw error;
  }
}

function kept({ steps, data, body, fingerprint, original }: ClaimRecord): Partial<ClaimRecord> {
  return { steps, data, body, fingerprint, original };
}
