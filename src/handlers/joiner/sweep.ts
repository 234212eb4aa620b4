import type { FoundClaim } from "../../claims/claim-record.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { SweepReport } from "../../pipeline/handler.ts";
import type { DueEntry, StoredMessage } from "../../stores/event-store.ts";

import { changeClaim, findClaim, isTakeable } from "../../claims/claim.ts";
import { unpackFailure } from "../../claims/claim-record.ts";
import { failAsCrashed, hasCrashed, markReported } from "../../claims/failure.ts";
import { liveSignal } from "../../context.ts";
import { deadLetterInFront } from "../../pipeline/dead-letter-in-front.ts";
import { outcomeEntry, windowEntry } from "./entries.ts";
import {
  clearJoin,
  clearOpenJoin,
  emit,
  isOpen,
  type JoinNext,
  type JoinSettings,
  listJoin,
  removeEntry,
  sealAndDecide,
  takeOver,
} from "./join.ts";
import { composedMessage, outcomeOf } from "./outcome.ts";

/** An emission that failed for good while no delivery was there to be told. */
export interface JoinFailure {
  readonly key: string;
  /** What was to be emitted. */
  readonly message: Message<string>;
  readonly error: Error;
}

export interface SweepSettings {
  /** How many due entries one sweep takes on. */
  readonly limit: number;
  readonly onFailure: ((ctx: Context, failure: JoinFailure) => Promise<void> | void) | undefined;
}

/**
 * Brings to an end what is due: windows that are over, emissions whose owner is gone, failures that nobody has been told, state past its retention.
 * Every step is a compare-and-set, so many processes may do this at once.
 */
export async function sweepJoins(join: JoinSettings, sweep: SweepSettings, ctx: Context, next: JoinNext): Promise<SweepReport> {
  const due = await join.rules.store.listDue({ before: ctx.clock.now(), limit: sweep.limit, signal: liveSignal(ctx) });
  const errors: unknown[] = [];
  let finished = 0;
  for (const entry of due) {
    try {
      if (await finish(join, sweep, ctx, entry, next)) finished += 1;
    } catch (error) {
      errors.push(error);
    }
    if (liveSignal(ctx)?.aborted) break;
  }
  return { finished, errors, more: due.length === sweep.limit };
}

async function finish(join: JoinSettings, sweep: SweepSettings, ctx: Context, entry: DueEntry, next: JoinNext): Promise<boolean> {
  const { key } = entry;
  const found = await findClaim(join.rules, ctx, key);
  if (entry.source === windowEntry) return finishWindow(join, sweep, ctx, key, found, next);
  // It may have moved on since it was listed: what ended meanwhile is not past its retention.
  if (found === undefined || entry.source !== outcomeEntry || !isDue(found, ctx)) return false;
  if (isOpen(found)) {
    await clearOpenJoin(join, ctx, key, found);
    return true;
  }
  if (isTakeable(found)) return finishEmission(join, sweep, ctx, key, found, next);
  if (found.record.phase === "failed" && !found.record.reported) return report(join, sweep, ctx, key, found);
  if (found.record.phase !== "done" && found.record.phase !== "failed") return false;
  await clearJoin(join, ctx, key, found);
  return true;
}

function isDue({ dueAt }: Pick<FoundClaim | StoredMessage, "dueAt">, { clock }: Context): boolean {
  return dueAt !== undefined && dueAt <= clock.now();
}

async function finishWindow(
  join: JoinSettings,
  sweep: SweepSettings,
  ctx: Context,
  key: string,
  found: FoundClaim | undefined,
  next: JoinNext,
): Promise<boolean> {
  const window = await join.rules.store.lookUp(key, windowEntry, { signal: liveSignal(ctx) });
  if (window === undefined || !isDue(window, ctx)) return false;
  if (found === undefined || isOpen(found)) {
    const claim = await sealAndDecide(join, ctx, key, found, "window", "timeout");
    if (claim !== undefined) return emitOrReport(join, sweep, ctx, key, () => emit(join, claim, ctx, next));
  }
  // The outcome decides now, and has a due time of its own; or there was nothing left that a window could end.
  const outcome = await findClaim(join.rules, ctx, key);
  const isDecided = outcomeOf(outcome?.record) !== undefined;
  if (isDecided || (await listJoin(join, ctx, key)).sources.size === 0)
    await removeEntry(join.rules.store, ctx, key, windowEntry, window.revision);
  return false;
}

async function finishEmission(
  join: JoinSettings,
  sweep: SweepSettings,
  ctx: Context,
  key: string,
  found: FoundClaim,
  next: JoinNext,
): Promise<boolean> {
  if (hasCrashed(found, ctx, join.maxAttempts) && found.record.phase === "running") {
    const failed = await failAsCrashed(join.rules, ctx, key, found, outcomeOf(found.record)?.composed?.id ?? key);
    return failed?.record.phase === "failed" && report(join, sweep, ctx, key, failed);
  }
  const claim = await takeOver(join, ctx, key, found, found.record.trigger);
  return claim !== undefined && emitOrReport(join, sweep, ctx, key, () => emit(join, claim, ctx, next));
}

/** An emission that fails for good has no sender to be told; it goes where failures go, and only if that fails too is it an error of the sweep. */
async function emitOrReport(
  join: JoinSettings,
  sweep: SweepSettings,
  ctx: Context,
  key: string,
  emission: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await emission();
    return true;
  } catch (error) {
    const found = await findClaim(join.rules, ctx, key);
    if (found?.record.phase === "failed") return report(join, sweep, ctx, key, found);
    throw error;
  }
}

async function report(join: JoinSettings, { onFailure }: SweepSettings, ctx: Context, key: string, found: FoundClaim): Promise<boolean> {
  const { failure } = found.record;
  const composed = outcomeOf(found.record)?.composed;
  if (failure === undefined || composed === undefined) return false;
  const message = composedMessage(key, composed);
  const error = unpackFailure(failure, message.id);
  const deadLetter = deadLetterInFront.get(ctx);
  try {
    if (deadLetter !== undefined) await deadLetter.putAside(ctx, message, error);
    else if (onFailure !== undefined) await onFailure(ctx, { key, message, error });
    else throw error;
  } catch (unreported) {
    // Due again later: failures that nobody takes would else fill every sweep, and nothing behind them were ever reached.
    await changeClaim(join.rules, ctx, key, found, {});
    throw unreported;
  }
  await markReported(join.rules, ctx, key, found);
  return true;
}
