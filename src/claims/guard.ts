import type { Context } from "../context.ts";
import type { Message } from "../message.ts";
import type { AnyMessage, Next } from "../pipeline/handler.ts";
import type { EventStore } from "../stores/event-store.ts";
import type { Claim } from "./claim.ts";

import { deriveContext, type Interrupt, interruptible, RootContext } from "../context.ts";
import { isRetryable } from "../errors.ts";
import { deadLetterInFront } from "../pipeline/dead-letter-in-front.ts";
import { redrive } from "../pipeline/replaying.ts";
import { type ClaimRecord, packFailure, type PackedMessage, packMessage } from "./claim-record.ts";
import { type Step, stepsOf, storedStepsOf } from "./steps.ts";

/** What the context holds behind a stage that claims messages. */
export interface ClaimContext {
  /** A number that only grows for a key, over all owners and processes: for your own `UPDATE ... WHERE fence < ?`. */
  readonly fence: number;
  /** Runs a part of the work once, also over crashes. */
  readonly step: Step;
  readonly claim: ClaimInfo;
}

/** Which message is under a claim, and where the claim is kept. */
export interface ClaimInfo {
  readonly messageId: string;
  readonly store: EventStore;
}

/** The claim that already guards this very message in this store, if there is one: a second one would only cost requests. */
export function adoptedClaim<C extends Context>(ctx: C, store: EventStore, message: AnyMessage): (C & ClaimContext) | undefined {
  return hasClaim(ctx) && ctx.claim.messageId === message.id && ctx.claim.store === store ? ctx : undefined;
}

/**
 * Runs the stages behind under a claim, and records how they ended before anyone is told.
 *
 * `kept` is what the claim's data becomes when it is done. A retryable failure releases the claim; a terminal one stays with it, so that duplicates are told the same, until it has been put aside.
 */
export async function runGuarded<M extends AnyMessage>(
  claim: Claim,
  store: EventStore,
  ctx: Context,
  message: M,
  next: Next<Context & ClaimContext, M>,
  kept: Pick<ClaimRecord, "data" | "body"> = {},
): Promise<void> {
  let reply: PackedMessage | undefined;
  const onReply = (given: Message): void => {
    reply = packMessage(given);
    ctx.reply(given);
  };
  const added: GuardAdditions = {
    fence: claim.record.fence,
    step: stepsOf(claim, message.id),
    claim: { messageId: message.id, store },
    reply: onReply,
  };
  const guarded = ctx instanceof RootContext ? new GuardedContext(ctx, claim, added) : interruptible(ctx, claim, added);

  try {
    if (!claim.holds) await claim.ensureLease();
    await next(guarded, message);
  } catch (error) {
    if (claim.lost) throw claim.lost;
    await recordFailure(claim, ctx, error);
    throw error;
  }
  await claim.end({ ...kept, phase: "done", reply });
}

/** What a guard adds to a context. */
type GuardAdditions = ClaimContext & Pick<Context, "reply">;

/** A context with them. It has a class because every message has one: to copy as many properties one by one takes longer than to store the claim. */
class GuardedContext extends RootContext implements ClaimContext {
  declare readonly fence: number;
  declare readonly step: Step;
  declare readonly claim: ClaimInfo;
  declare readonly reply: Context["reply"];

  constructor(ctx: RootContext, interrupt: Interrupt, { fence, step, claim, reply }: GuardAdditions) {
    super(ctx.root, ctx.deadline, interrupt, ctx.stages, ctx.trail, true);
    if (ctx.extended) Object.assign(this, ctx, { interrupt });
    this.fence = fence;
    this.step = step;
    this.claim = claim;
    this.reply = reply;
  }
}

/** The context of a replay: a claim that has ended gives its stored steps, and stores no new ones. */
export function replayContext<C extends Context>(ctx: C, record: ClaimRecord, messageId: string, store: EventStore): C & ClaimContext {
  return deriveContext(ctx, { fence: record.fence, step: storedStepsOf(record), claim: { messageId, store } });
}

async function recordFailure(claim: Claim, ctx: Context, error: unknown): Promise<void> {
  if (isRetryable(error)) return claim.release();
  try {
    await claim.end({ phase: "failed", failure: packFailure(error), redrive: redrive.get(ctx) });
    deadLetterInFront.get(ctx)?.afterwards(() => claim.update(() => ({ reported: true })));
  } catch (unrecorded) {
    ctx.logger.warn({ err: unrecorded, key: claim.key }, "a terminal failure was not recorded; a redelivery runs the message again");
  }
}

function hasClaim<C extends Context>(ctx: C): ctx is C & ClaimContext {
  return "claim" in ctx && ctx.claim !== undefined;
}
