import type { ClaimContext } from "../../claims/guard.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { AnyMessage, Next } from "../../pipeline/handler.ts";

import { EventDriverError, quote } from "../../errors.ts";

/** What a conflict rule knows of the delivery that was completed. */
export interface Conflict {
  /** The reply it gave, if it gave one. */
  readonly reply: Message | undefined;
}

/** Decides what becomes of a duplicate of a completed message. Returning ends it successfully. */
export type ConflictRule = (ctx: Context, message: AnyMessage, conflict: Conflict) => Promise<void> | void;

/** The rule that passes the stored message on. Another type than {@link ConflictRule}, because only storable messages can be kept for it. */
export interface ReplayRule {
  readonly replays: true;
  replay(ctx: Context & ClaimContext, stored: Message, next: Next<Context & ClaimContext, Message>): Promise<void>;
}

/** Ends the duplicate successfully, with the reply that the first delivery gave. */
export const skipOnConflict: ConflictRule = (ctx, _message, conflict) => {
  if (conflict.reply !== undefined) ctx.reply(conflict.reply);
  ctx.ended("duplicate");
};

/** Fails the duplicate with `ERR_DUPLICATE`, terminal: for senders that must never repeat themselves. */
export const failOnConflict: ConflictRule = (_ctx, message) => {
  throw new EventDriverError("ERR_DUPLICATE", {
    message: `message ${quote(message.id)} has been processed before; do not send it again`,
    retryable: false,
  });
};

/**
 * Passes the message on as it was when it was first processed, so the stages behind run again: for handlers that only read, or whose effect was lost.
 *
 * Steps with a stored result are not run again. Nothing is claimed for a replay.
 */
export const replayOnConflict: ReplayRule = {
  replays: true,
  replay: (ctx, stored, next) => next(ctx, stored),
};
