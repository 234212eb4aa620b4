import type { Backfill, SubscribeRequest } from "event-driver/streams";

import { invalidOption } from "event-driver";

import type { PulsarNative } from "./options.ts";

import { cursorJson } from "./message-id.ts";

/** A position with everything behind it that the topic still has. */
const earliest = '{"ledgerId":-1,"entryId":-1,"partitionIndex":-1}';
/** More than that Pulsar does not put before one subscriber. */
const maxQueue = 1_000;

/**
 * Where a position that is made is to begin, for the administration; `undefined` for either end, which the socket's address says.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function cursorOf(backfill: Backfill): string | undefined {
  if (typeof backfill === "boolean") return undefined;
  return backfill instanceof Date ? earliest : cursorJson(backfill.position);
}

/**
 * What the socket of a subscription asks for.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function queryOf({ exclusive, maxInFlight, backfill, native = {} }: SubscribeRequest<PulsarNative>): string {
  const { subscriptionType = exclusive ? "Exclusive" : "Key_Shared", priorityLevel, redeliveryDelay = 100, deadLetterPolicy } = native;
  if (!["Key_Shared", "Shared", "Failover", "Exclusive"].includes(subscriptionType))
    throw invalidOption("subscribe", "native.subscriptionType", subscriptionType, '"Key_Shared", "Shared", "Failover" or "Exclusive"');
  if (exclusive && subscriptionType !== "Exclusive")
    throw invalidOption("subscribe", "native.subscriptionType", subscriptionType, '"Exclusive" where serial is true');
  requireCount("native.priorityLevel", priorityLevel ?? 0);
  requireCount("native.redeliveryDelay", redeliveryDelay);
  const query = new URLSearchParams({
    subscriptionType,
    subscriptionInitialPosition: backfill === true ? "Earliest" : "Latest",
    receiverQueueSize: String(Math.min(maxInFlight, maxQueue)),
    negativeAckRedeliveryDelay: String(redeliveryDelay),
  });
  if (priorityLevel !== undefined) query.set("priorityLevel", String(priorityLevel));
  if (deadLetterPolicy !== undefined) {
    requireCount("native.deadLetterPolicy.maxRedeliverCount", deadLetterPolicy.maxRedeliverCount, 1);
    query.set("maxRedeliverCount", String(deadLetterPolicy.maxRedeliverCount));
    query.set("deadLetterTopic", deadLetterPolicy.topic);
  }
  return query.toString();
}

function requireCount(option: string, given: number, least: number = 0): void {
  if (!(Number.isInteger(given) && given >= least)) throw invalidOption("subscribe", option, given, `a whole number from ${least}`);
}
