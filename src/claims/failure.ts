import type { Context } from "../context.ts";
import type { ClaimRules, FoundClaim } from "./claim-record.ts";

import { quote } from "../errors.ts";
import { deadLetterInFront } from "../pipeline/dead-letter-in-front.ts";
import { redrive, replaying } from "../pipeline/replaying.ts";
import { changeClaim, findClaim } from "./claim.ts";
import { isUnderWay, unpackFailure } from "./claim-record.ts";

/**
 * Whether the work was begun so often, and each time its process ended without a word. Without a number there is no end to it, unless what has failed has
 * a place to go.
 */
export function hasCrashed(
  { record }: FoundClaim,
  ctx: Context,
  maxAttempts: number = deadLetterInFront.get(ctx) ? 10 : Infinity,
): boolean {
  return isUnderWay(record) && record.starts >= maxAttempts;
}

/** Whether a failed claim is to be tried once more, because its message comes back from where it was put aside: once for each redrive. */
export function isReopened({ record }: FoundClaim, ctx: Context): boolean {
  const by = redrive.get(ctx);
  return record.phase === "failed" && replaying.get(ctx) === true && (by === undefined || by !== record.redrive);
}

/** Ends a claim whose owners all crashed, as failed. Resolves to how it stands then. */
export async function failAsCrashed(
  rules: ClaimRules,
  ctx: Context,
  key: string,
  found: FoundClaim,
  id: string,
): Promise<FoundClaim | undefined> {
  const message = `message ${quote(id)} was begun ${found.record.starts} times and its process ended each time; look for what it does to a process`;
  await changeClaim(rules, ctx, key, found, { phase: "failed", failure: { code: "ERR_CRASHED", message } });
  return findClaim(rules, ctx, key);
}

/**
 * Tells a duplicate of a failed message the same failure, until the failure has been put aside: then the duplicate is done with too.
 *
 * Skipping it earlier would lose the message, for its first sender may have been told nothing.
 */
export async function repeatFailure(rules: ClaimRules, ctx: Context, key: string, found: FoundClaim, id: string): Promise<void> {
  const { failure, reported } = found.record;
  if (reported || failure === undefined) return ctx.ended("duplicate");
  deadLetterInFront.get(ctx)?.afterwards(() => markReported(rules, ctx, key, found));
  throw unpackFailure(failure, id);
}

/** Records that a failure has reached someone who keeps it. Does nothing when the claim has moved on. */
export async function markReported(rules: ClaimRules, ctx: Context, key: string, found: FoundClaim): Promise<void> {
  await changeClaim(rules, ctx, key, found, { reported: true });
}
