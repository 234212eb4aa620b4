import type { DeadLetter } from "../handlers/dead-letter/entry.ts";
import type { Delivery } from "../streams/delivery.ts";

/** What a subscription, or a redrive, has written of a dead letter into attributes, read again. Whatever else somebody put into the stream is one of code `unknown`. */
export function asLetter({ message, position, partition, publishedAt }: Delivery): DeadLetter {
  const { dlreason, dltext, dlstage, dlstack, dlattempts, dlfirsttime, dllasttime, dlparked } = message.attributes;
  const lastFailedAt = timeOf(dllasttime) ?? publishedAt ?? 0;
  return {
    message,
    failure: {
      code: dlreason ?? "unknown",
      message: dltext ?? "",
      causes: [],
      retryable: false,
      ...(dlstage !== undefined && { stage: dlstage }),
      ...(dlstack !== undefined && { stack: dlstack }),
    },
    attempts: Number(dlattempts) || 0,
    firstFailedAt: timeOf(dlfirsttime) ?? lastFailedAt,
    lastFailedAt,
    revision: partition === undefined ? position : `${partition}/${position}`,
    ...(dlparked !== undefined && { ticket: dlparked }),
  };
}

function timeOf(text: string | undefined): number | undefined {
  const milliseconds = Date.parse(text ?? "");
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
