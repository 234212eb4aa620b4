import type { Context } from "../../context.ts";

import { identityOf, type Message } from "../../message.ts";
import { parkingTicket } from "../../pipeline/key-parking.ts";
import { redrive, replaying } from "../../pipeline/replaying.ts";

/** Whether a message comes back from where it was put aside. */
export function isRedriven({ attributes }: Message): boolean {
  return attributes["dlredrive"] !== undefined;
}

/** How often it was tried before it was put aside. */
export function earlierAttempts(message: Message): number {
  return isRedriven(message) ? Number(message.attributes["dlattempts"]) || 0 : 0;
}

/** A context that says so to the stages: what they remember as failed for good is to be tried once more. */
export function redrivenContext(ctx: Context, message: Message): Context {
  if (!isRedriven(message)) return ctx;
  const { dlredrive, dlparked } = message.attributes;
  const again = redrive.set(replaying.set(ctx, true), `${dlredrive} of ${identityOf(message)}`);
  return dlparked === undefined ? again : parkingTicket.set(again, dlparked);
}
