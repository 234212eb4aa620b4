import type { Claim, ClaimAttempt } from "../../claims/claim.ts";
import type { ClaimRules, FoundClaim } from "../../claims/claim-record.ts";
import type { ClaimContext } from "../../claims/guard.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Next } from "../../pipeline/handler.ts";
import type { EventStore } from "../../stores/event-store.ts";
import type { Condition } from "./condition.ts";
import type { RepeatPolicy } from "./members.ts";

import { changeClaim, startClaim } from "../../claims/claim.ts";
import { runGuarded } from "../../claims/guard.ts";
import { liveSignal } from "../../context.ts";
import { isRevisionConflict } from "../../errors.ts";
import { createMessage } from "../../message.ts";
import { outcomeEntry, readMembers, sourceOf, windowEntry } from "./entries.ts";
import { composedMessage, freeze, held, type Outcome, type OutcomeKind, outcomeOf } from "./outcome.ts";

/** A join that its window has ended before its condition held. */
export interface JoinTimeout {
  readonly key: string;
  /** The sources that had come, sorted. */
  readonly present: readonly string[];
  /** The sources that its condition still waited for. */
  readonly missing: readonly string[];
  /** What had come, composed as a complete join is. */
  readonly message: Message<string>;
}

export type JoinNext = Next<Context & ClaimContext, Message>;

/** Everything a join is decided by; see `JoinerOptions` for what each means. */
export interface JoinSettings {
  readonly entries: EventStore;
  /** Where outcomes and windows are kept; the same as `entries` unless claims go to another store. */
  readonly rules: ClaimRules;
  /** The store of the claims as the user gave it, by which a stage behind recognises them. */
  readonly claimStore: EventStore;
  readonly scope: string;
  readonly condition: Condition;
  readonly repeated: RepeatPolicy;
  readonly windowLength: number | undefined;
  readonly retention: number;
  readonly maxAttempts: number | undefined;
  readonly onTimeout: (ctx: Context & ClaimContext, timeout: JoinTimeout, next: JoinNext) => Promise<void>;
}

/** What stands under a key. */
export interface Listing {
  readonly sources: ReadonlySet<string>;
  readonly hasOutcome: boolean;
  readonly hasWindow: boolean;
}

export async function listJoin(settings: JoinSettings, ctx: Context, key: string): Promise<Listing> {
  const { entries, rules } = settings;
  const signal = liveSignal(ctx);
  // In this order, because an outcome goes after the entries: whoever finds none must not count entries that were removed with it.
  const own = await rules.store.listSourcesByKey(key, { signal });
  const names = rules.store === entries ? own : await entries.listSourcesByKey(key, { signal });
  const sources = new Set<string>();
  for (const name of names) {
    const source = sourceOf(name);
    if (source !== undefined) sources.add(source);
  }
  return { sources, hasOutcome: own.includes(outcomeEntry), hasWindow: own.includes(windowEntry) };
}

/** Whether a found outcome decides nothing: it was sealed, and what was under the seal did not end the join. */
export function isOpen({ record }: FoundClaim): boolean {
  return record.phase === "released" && record.data === undefined;
}

/** Opens the window of a key, durably, so that its end needs no further message. One that is open already stays as it is. */
export async function openWindow(settings: JoinSettings, ctx: Context, key: string): Promise<void> {
  if (settings.windowLength === undefined) return;
  const opened = ctx.clock.now();
  const entry = createMessage({ id: crypto.randomUUID(), key, source: windowEntry, content: JSON.stringify({ opened }) });
  try {
    await settings.rules.store.persist(entry, { expected: "absent", dueAt: opened + settings.windowLength, signal: liveSignal(ctx) });
  } catch (error) {
    if (!isRevisionConflict(error)) throw error;
  }
}

/** Resolves to `undefined` where there is none: one that was listed has been removed meanwhile. */
export async function isWindowOver(settings: JoinSettings, ctx: Context, key: string): Promise<boolean | undefined> {
  const window = await settings.rules.store.lookUp(key, windowEntry, { signal: liveSignal(ctx) });
  return window && window.dueAt !== undefined && window.dueAt <= ctx.clock.now();
}

/**
 * Claims the end of a join whose condition holds on its sources. Resolves to `undefined` when another process was faster, or when what is read
 * does not hold what was listed.
 *
 * Where more sources could make the condition false again, the decision is made under a seal.
 */
export async function beginEmission(
  settings: JoinSettings,
  ctx: Context,
  key: string,
  found: FoundClaim | undefined,
  trigger: string,
): Promise<Claim | undefined> {
  if (!settings.condition.monotone) return sealAndDecide(settings, ctx, key, found, trigger, "complete");
  const messages = await readMembers(settings.entries, ctx, key);
  const outcome = await decide(settings, ctx, key, messages, "complete");
  if (outcome === undefined) return undefined;
  const { claim } = await startClaim(settings.rules, ctx, key, found, { phase: "running", trigger, kept: held(outcome) });
  return claim;
}

/**
 * Ends a join under a seal: nobody is told that a message waits while what ends it is read. A complete join is complete even when its window
 * is over. Resolves to `undefined` when another process was faster, or when nothing under the seal ends the join.
 */
export async function sealAndDecide(
  settings: JoinSettings,
  ctx: Context,
  key: string,
  found: FoundClaim | undefined,
  trigger: string,
  ending: OutcomeKind,
): Promise<Claim | undefined> {
  const { claim } = await startClaim(settings.rules, ctx, key, found, { phase: "sealing", trigger });
  if (claim === undefined) return undefined;
  try {
    const messages = await readMembers(settings.entries, ctx, key);
    const outcome = await decide(settings, ctx, key, messages, ending);
    if (outcome === undefined) {
      await claim.release();
      return undefined;
    }
    await claim.update(() => ({ phase: "running", ...held(outcome) }));
    return claim;
  } catch (error) {
    await claim.release();
    throw error;
  }
}

/** Takes over an emission, or a seal, whose owner is gone. Resolves to `undefined` when another process was faster. */
export async function takeOver(
  settings: JoinSettings,
  ctx: Context,
  key: string,
  found: FoundClaim,
  trigger: string,
): Promise<Claim | undefined> {
  if (outcomeOf(found.record) === undefined) {
    const ending = (await isWindowOver(settings, ctx, key)) ? "timeout" : "complete";
    return sealAndDecide(settings, ctx, key, found, trigger, ending);
  }
  const { claim }: ClaimAttempt = await startClaim(settings.rules, ctx, key, found, { phase: "running", trigger: found.record.trigger });
  return claim;
}

/** Runs the stages behind with what is frozen in the claim, and records how that ended. Resolves to what was emitted. */
export async function emit(settings: JoinSettings, claim: Claim, ctx: Context, next: JoinNext): Promise<Outcome | undefined> {
  const outcome = outcomeOf(claim.record);
  if (outcome?.composed === undefined) {
    await claim.release();
    return undefined;
  }
  const { kind, members, missing, composed } = outcome;
  const message = composedMessage(claim.key, composed);
  const present = members.map((member) => member.source);
  const timeout: JoinTimeout = { key: claim.key, present, missing, message };
  const last: JoinNext = kind === "complete" ? next : (behind) => settings.onTimeout(behind, timeout, next);
  await runGuarded(claim, settings.claimStore, ctx, message, last, { data: { kind, members, missing }, body: undefined });
  return outcome;
}

/**
 * Removes what an ended join has left, when its retention is over. In this order, because a message that is stored meanwhile must still find the
 * outcome: first the entries, and in a later pass, when there are none, the outcome by the revision read before they were listed.
 */
export async function clearJoin(settings: JoinSettings, ctx: Context, key: string, found: FoundClaim): Promise<void> {
  const { entries, rules } = settings;
  const options = { signal: liveSignal(ctx) };
  const stores = rules.store === entries ? [entries] : [entries, rules.store];
  const left = await Promise.all(stores.map(async (store) => ({ store, stored: await store.lookUpByKey(key, options) })));
  const removals = left.flatMap(({ store, stored }) =>
    stored
      .filter(({ message }) => message.source !== outcomeEntry)
      .map(({ message, revision }) => ({ store, source: message.source, revision })),
  );
  if (removals.length === 0) return removeEntry(rules.store, ctx, key, outcomeEntry, found.revision);
  if (!(await changeClaim(rules, ctx, key, found, { clearing: true }))) return;
  for (const { store, source, revision } of removals) await removeEntry(store, ctx, key, source, revision);
}

/** Removes an entry unless it has been written anew; then whoever wrote it looks after it. */
export async function removeEntry(store: EventStore, ctx: Context, key: string, source: string, revision: string): Promise<void> {
  try {
    await store.remove(key, source, { expected: revision, signal: liveSignal(ctx) });
  } catch (error) {
    if (!isRevisionConflict(error)) throw error;
  }
}

/** Removes an outcome that decided nothing, when there is nothing left it could decide; else looks again later. */
export async function clearOpenJoin(settings: JoinSettings, ctx: Context, key: string, found: FoundClaim): Promise<void> {
  const { sources, hasWindow } = await listJoin(settings, ctx, key);
  if (sources.size === 0 && !hasWindow) await removeEntry(settings.rules.store, ctx, key, outcomeEntry, found.revision);
  else await changeClaim(settings.rules, ctx, key, found, {});
}

async function decide(
  { condition, scope }: JoinSettings,
  ctx: Context,
  key: string,
  messages: readonly Message[],
  ending: OutcomeKind,
): Promise<Outcome | undefined> {
  const sources = new Set(messages.map((message) => message.source));
  const complete = condition.holds(sources);
  // With nothing stored there is nothing to end: the window outlived its entries.
  if (sources.size === 0 || (!complete && ending === "complete")) return undefined;
  const kind = complete ? "complete" : "timeout";
  const missing = complete ? [] : condition.wanted.filter((source) => !sources.has(source));
  return freeze({ scope, key, kind, missing }, messages, ctx.clock.now());
}
