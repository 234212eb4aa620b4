import type { Context } from "../../context.ts";

import { createMessage, identityOf, type Message } from "../../message.ts";
import { parkingTicket } from "../../pipeline/key-parking.ts";
import { redrive, replaying } from "../../pipeline/replaying.ts";

/** Whether a message comes back from where it was put aside. */
export function isRedriven({ attributes }: Message): boolean {
  return attributes["dlredrive"] !== undefined;
}

/**
 * The message as its handler sees it: without what is said to the subscription alone. A handler may pass attributes on with a message of its own, and that one
 * does not come back from anywhere.
 */
export function withoutMarks(message: Message): Message {
  if (!isRedriven(message)) return message;
  const { dlredrive: _redrive, dlparked: _ticket, ...attributes } = message.attributes;
  return createMessage({ ...message, attributes });
}

/** How often it was tried before it was put aside. */
export function earlierAttempts(message: Message): number {
  return isRedriven(message) ? Number(message.attributes["dlattempts"]) || 0 : 0;
}

/** A context that says so to the stages: what they remember as failed for good is to be tried once more. */
export function redrivenContext(ctx: Context, message: Message): Context {
  if (!isRedriven(message)) return ctx;
  const { dlredrive, dlattempts, dlparked } = message.attributes;
  const again = redrive.set(replaying.set(ctx, true), `${dlredrive} after ${dlattempts} of ${identityOf(message)}`);
  return dlparked === undefined ? again : parkingTicket.set(again, dlparked);
}
