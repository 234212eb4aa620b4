import type { DeadLetter } from "../handlers/dead-letter/entry.ts";

import { createMessage, type Message, withAttributes } from "../message.ts";

/**
 * A dead letter as it goes back to a stream: the message itself, with what is known of its failure in attributes.
 *
 * `dlredrive` counts the redrives. One that is interrupted and made again gives the same number, so that two copies can be known as one.
 */
export function asRedriven({ message, failure, attempts, firstFailedAt, lastFailedAt, ticket }: DeadLetter): Message {
  const isOurs = failure.code !== "ERR_HANDLER_FAILED";
  return withAttributes(message, {
    dlreason: failure.code,
    ...(isOurs && { dltext: failure.message }),
    ...(failure.stage !== undefined && { dlstage: failure.stage }),
    dlattempts: String(attempts),
    dlfirsttime: new Date(firstFailedAt).toISOString(),
    dllasttime: new Date(lastFailedAt).toISOString(),
    dlredrive: String((Number(message.attributes["dlredrive"]) || 0) + 1),
    ...(ticket !== undefined && { dlparked: ticket }),
  });
}

/** The same for those who know nothing of its queue. */
export function withoutTicket(message: Message): Message {
  const { dlparked: _ticket, ...attributes } = message.attributes;
  return createMessage({ ...message, attributes });
}
