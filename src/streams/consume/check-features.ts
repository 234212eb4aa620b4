import type { BackfillStart, ConnectionFeatures } from "../connection.ts";
import type { Backfill, SubscribeOptions } from "../subscribe-options.ts";

import { EventDriverError } from "../../errors.ts";

/** What somebody asks for, whether the broker has it, and what to do instead. */
interface Requirement {
  readonly option: string;
  readonly isAsked: boolean;
  readonly isThere: boolean;
  readonly instead: string;
}

/**
 * Refuses what the broker cannot do.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED`, which names the option, the broker and the alternative
 */
export function checkFeatures(
  factory: string,
  broker: string,
  features: ConnectionFeatures,
  options: Omit<SubscribeOptions<unknown>, "native">,
): void {
  const missing = requirements(features, options).find(({ isAsked, isThere }) => isAsked && !isThere);
  if (missing === undefined) return;
  throw new EventDriverError("ERR_UNSUPPORTED", {
    message: `${factory}: ${broker} cannot do ${missing.option}; ${missing.instead}`,
    retryable: false,
  });
}

function requirements(features: ConnectionFeatures, options: Omit<SubscribeOptions<unknown>, "native">): readonly Requirement[] {
  const { durable, backfill = false, reset, timeout, serial, order, deadLetter } = options;
  const start = startOf(backfill);
  const retention = typeof deadLetter === "object" ? deadLetter.retention : undefined;
  return [
    { option: "durable: true", isAsked: durable === true, isThere: features.durable, instead: "leave it away and backfill" },
    { option: "durable: false", isAsked: durable === false, isThere: features.transient, instead: "give it a name and unsubscribe" },
    {
      option: `backfill by ${start}`,
      isAsked: start !== undefined,
      isThere: start !== undefined && features.backfill.includes(start),
      instead: `it can start ${["now", ...features.backfill.map((each) => `by ${each}`)].join(", ")}`,
    },
    { option: "reset", isAsked: reset === true, isThere: features.reset, instead: "take another name" },
    { option: "timeout", isAsked: timeout !== undefined, isThere: features.ackWait !== "none", instead: "give the pipeline a deadline" },
    { option: "serial", isAsked: serial === true, isThere: features.serial, instead: "subscribe once, with concurrency: 1" },
    { option: 'order: "key"', isAsked: order === "key", isThere: features.keyOrder !== "none", instead: 'take order: "none"' },
    {
      option: "deadLetter.retention",
      isAsked: retention !== undefined,
      isThere: features.expiry,
      instead: "set the retention of the dead-letter stream at the broker",
    },
  ];
}

function startOf(backfill: Backfill): BackfillStart | undefined {
  if (backfill === false) return undefined;
  if (backfill === true) return "all";
  return backfill instanceof Date ? "time" : "position";
}
