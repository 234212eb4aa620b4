import type { AnyMessage } from "./handler.ts";

import { type Context, type ContextValue, contextValue } from "../context.ts";

/** What a dead letter stage offers to the stages behind it. */
export interface DeadLetterInFront {
  /** Puts a message aside that failed without a delivery around it, as in a sweep. Resolves when that is durable. */
  putAside(ctx: Context, message: AnyMessage, error: unknown): Promise<void>;
  /** Has `callback` run when the failure of this delivery has durably been put aside; not at all when the delivery ends otherwise. */
  afterwards(callback: () => Promise<void>): void;
}

/** Set by a dead letter stage. Where it is unset, a failed message has no place to go but back to its sender. */
export const deadLetterInFront: ContextValue<DeadLetterInFront> = contextValue("dead letter in front");
