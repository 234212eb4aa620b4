import type { KeyParking } from "../../pipeline/key-parking.ts";
import type { Job } from "./job.ts";

import { isEventDriverError } from "../../errors.ts";
import { createMessage, type Message } from "../../message.ts";

export interface DeadLetterSettings {
  readonly stream: string;
  readonly includeStack: boolean;
  /** Milliseconds; `undefined` where messages of the broker cannot expire. */
  readonly retention: number | undefined;
  readonly parkKey: KeyParking | undefined;
}

const ownNames = new Set([
  "dlreason",
  "dltext",
  "dlstage",
  "dlattempts",
  "dlfirsttime",
  "dllasttime",
  "dlstream",
  "dlpartition",
  "dlposition",
  "dlstack",
  "dlparked",
]);

/**
 * The message as it goes to the dead-letter stream: itself, with what is known of its failure in attributes.
 *
 * A message that was a dead letter before keeps the time of its first failure, and its attempts are added up. `ticket` is what it is known by when it comes
 * back, where its key is parked.
 */
export function asDeadLetter(job: Job, error: unknown, now: number, { includeStack }: DeadLetterSettings, ticket?: string): Message {
  const { message, position, partition } = job.inbound;
  const former = message.attributes;
  const stage = stageOf(error);
  const stack = includeStack && error instanceof Error ? error.stack : undefined;
  const attributes = {
    ...Object.fromEntries(Object.entries(former).filter(([name]) => !ownNames.has(name))),
    dlreason: isEventDriverError(error) ? error.code : "ERR_HANDLER_FAILED",
    dltext: includeStack ? String(error) : textOf(error),
    ...(stage !== undefined && { dlstage: stage }),
    dlattempts: String(job.attempt + (Number(former["dlattempts"]) || 0)),
    dlfirsttime: former["dlfirsttime"] ?? new Date(job.firstFailedAt ?? now).toISOString(),
    dllasttime: new Date(now).toISOString(),
    dlstream: job.stream,
    ...(partition !== undefined && { dlpartition: partition }),
    dlposition: position,
    ...(stack !== undefined && { dlstack: stack }),
    ...(ticket !== undefined && { dlparked: ticket }),
  };
  return createMessage({ ...message, attributes });
}

function stageOf(error: unknown): string | undefined {
  return isEventDriverError(error) && "stage" in error && typeof error.stage === "string" ? error.stage : undefined;
}

/** Our own words hold no content. Those of others may, as JSON.parse's do, so only the kind of such an error is kept. */
function textOf(error: unknown): string {
  const inner = stageOf(error) === undefined || !(error instanceof Error) ? error : error.cause;
  if (isEventDriverError(inner)) return inner.message;
  return inner instanceof Error ? inner.name : "something other than an error was thrown";
}
