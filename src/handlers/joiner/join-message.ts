import type { FoundClaim } from "../../claims/claim-record.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Revision } from "../../stores/event-store.ts";
import type { Accepted } from "./entries.ts";

import { findClaim, isTakeable } from "../../claims/claim.ts";
import { unpackMessage } from "../../claims/claim-record.ts";
import { failAsCrashed, hasCrashed, isReopened, repeatFailure } from "../../claims/failure.ts";
import { inProgress, patience } from "../../claims/wait.ts";
import { identityOf } from "../../message.ts";
import { accept, entryName, repeatedSource } from "./entries.ts";
import {
  beginEmission,
  emit,
  isOpen,
  isWindowOver,
  type JoinNext,
  type JoinSettings,
  listJoin,
  type Listing,
  openWindow,
  removeEntry,
  sealAndDecide,
  takeOver,
} from "./join.ts";
import { standingOf } from "./members.ts";
import { isMember, outcomeOf } from "./outcome.ts";

export interface ArrivalSettings {
  /** Milliseconds for which a message waits for the emission of another delivery. */
  readonly wait: number;
  readonly onLate: (ctx: Context, message: Message) => Promise<void> | void;
  /** Whether a sweep runs in this process, which would finish what a delivery does not wait for. */
  readonly isSwept: (ctx: Context) => boolean;
}

/** What a delivery still has to do after one look at its join. */
type Progress = "finished" | "look again" | "wait";

/** One delivery: the message is stored first, and then does whatever its join needs by then. */
export async function joinMessage(
  join: JoinSettings,
  arrival: ArrivalSettings,
  ctx: Context,
  message: Message,
  next: JoinNext,
): Promise<void> {
  const waiting = patience(ctx, arrival.wait);
  let accepted = await accept(join.entries, ctx, message, join.repeated);
  for (;;) {
    const listing = await listJoin(join, ctx, message.key);
    let progress: Progress;
    let found: FoundClaim | undefined;
    if (!listing.sources.has(message.source)) {
      // It was removed together with a former join of this key; without it the new one would never be complete.
      accepted = await accept(join.entries, ctx, message, join.repeated);
      progress = "wait";
    } else {
      found = listing.hasOutcome ? await findClaim(join.rules, ctx, message.key) : undefined;
      // An outcome that was listed and has gone since took the entries of its join with it: what was listed beside it counts no more.
      if (listing.hasOutcome && found === undefined) progress = "wait";
      else if (found === undefined || isOpen(found)) progress = await advance(join, ctx, message, accepted, listing, found, next);
      else progress = await conclude(join, arrival, ctx, message, accepted, found, next);
    }
    if (progress === "finished") return;
    if (progress === "wait" && !(await waiting.pause())) return giveUpWaiting(join, arrival, ctx, message, found);
  }
}

/** The join is open: end it where its time or its condition has come, else leave the message waiting in it. */
async function advance(
  join: JoinSettings,
  ctx: Context,
  message: Message,
  accepted: Accepted,
  listing: Listing,
  found: FoundClaim | undefined,
  next: JoinNext,
): Promise<Progress> {
  const { key } = message;
  const isOver = listing.hasWindow && join.windowLength !== undefined && (await isWindowOver(join, ctx, key));
  if (isOver === undefined) return "wait";
  if (!isOver && !join.condition.holds(listing.sources)) {
    if (!listing.hasWindow) await openWindow(join, ctx, key);
    ctx.ended(accepted.superseded ? "superseded" : "waiting");
    return "finished";
  }
  const trigger = identityOf(message);
  const claim = isOver
    ? await sealAndDecide(join, ctx, key, found, trigger, "timeout")
    : await beginEmission(join, ctx, key, found, trigger);
  if (claim === undefined) return "wait";
  const outcome = await emit(join, claim, ctx, next);
  return outcome !== undefined && isMember(outcome, message) ? "finished" : "look again";
}

/** The end of the join is decided, or being decided: see what that makes of the message. */
async function conclude(
  join: JoinSettings,
  arrival: ArrivalSettings,
  ctx: Context,
  message: Message,
  accepted: Accepted,
  found: FoundClaim,
  next: JoinNext,
): Promise<Progress> {
  const { key } = message;
  const outcome = outcomeOf(found.record);
  const standing = outcome && standingOf(message, outcome.members, join.repeated);
  if (standing === "late" || standing === "superseded") {
    if (standing === "late") await arrival.onLate(ctx, message);
    // A late event may have been stored by a delivery whose onLate failed; of a superseded one nothing is stored but what this one wrote.
    await discard(join, ctx, message, standing === "late" ? (accepted.wrote ?? accepted.found) : accepted.wrote);
    if (standing === "superseded" && join.repeated === "reject") throw repeatedSource(message);
    ctx.ended(standing);
    return "finished";
  }
  if (found.record.phase === "done") {
    await discard(join, ctx, message, accepted.wrote);
    if (found.record.reply) ctx.reply(unpackMessage(found.record.reply));
    ctx.ended("duplicate");
    return "finished";
  }
  if (found.record.phase === "failed" && !isReopened(found, ctx)) {
    await repeatFailure(join.rules, ctx, key, found, message.id);
    return "finished";
  }
  if (!isTakeable(found) && !isReopened(found, ctx)) return "wait";
  if (outcome !== undefined && hasCrashed(found, ctx, join.maxAttempts)) {
    await failAsCrashed(join.rules, ctx, key, found, outcome.composed?.id ?? message.id);
    return "look again";
  }
  const claim = await takeOver(join, ctx, key, found, identityOf(message));
  if (claim === undefined) return "wait";
  const taken = await emit(join, claim, ctx, next);
  return taken !== undefined && isMember(taken, message) ? "finished" : "look again";
}

/** Removes the message's own entry where it wrote one after the end: it would be the beginning of a join that never completes. */
async function discard(join: JoinSettings, ctx: Context, message: Message, revision: Revision | undefined): Promise<void> {
  if (revision !== undefined) await removeEntry(join.entries, ctx, message.key, entryName(message.source), revision);
}

/**
 * The emission is still another's when the time is up. What began it fails, so that its sender delivers it again; any other message is stored, its
 * outcome is durable with it among the members, and where a sweep runs that is enough. Under a seal nothing is decided yet, so there it fails too.
 */
function giveUpWaiting(join: JoinSettings, arrival: ArrivalSettings, ctx: Context, message: Message, found: FoundClaim | undefined): void {
  const isDecided = outcomeOf(found?.record) !== undefined;
  if (!isDecided || found?.record.trigger === identityOf(message) || !arrival.isSwept(ctx)) throw inProgress(message.id, join.rules.lease);
  ctx.ended("waiting");
}
