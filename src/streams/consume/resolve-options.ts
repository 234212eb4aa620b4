import type { KeyParking } from "../../pipeline/key-parking.ts";
import type { ConnectionFeatures } from "../connection.ts";
import type { DeadLetterStream, PullOptions, RetryDelays, SubscribeOptions } from "../subscribe-options.ts";
import type { SubscribeRequest } from "../transport.ts";
import type { DeadLetterSettings } from "./dead-letters.ts";
import type { SettleRules } from "./settle.ts";

import { invalidOption } from "../../errors.ts";
import { checkFeatures } from "./check-features.ts";

export interface ConsumeSettings {
  readonly order: "serial" | "key" | "none";
  readonly concurrency: number;
  readonly batch: { readonly size: number; readonly wait: number } | undefined;
  readonly rules: SettleRules;
  readonly deadLetter: DeadLetterSettings | undefined;
}

/** What a subscription is made with, and whose broker it is for. */
interface Asked<Options> {
  readonly broker: string;
  readonly features: ConnectionFeatures;
  readonly stream: string;
  readonly options: Options;
}

const defaultAckWait = 30_000;
const defaultDelays: readonly number[] = [1_000, 5_000, 15_000, 60_000];
const fortnight = 14 * 86_400_000;

/** @throws EventDriverError `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED` */
export function requestOf<Native>(factory: "subscribe" | "pull", asked: Asked<SubscribeOptions<Native>>): SubscribeRequest<Native> {
  const { features, stream, options } = asked;
  const {
    name = stream,
    durable = features.durable,
    backfill = false,
    reset = false,
    timeout,
    maxInFlight = 256,
    serial = false,
  } = options;
  requireStream(factory, "stream", stream);
  if (typeof name !== "string" || name === "") throw invalidOption(factory, "name", name, "a string that is not empty");
  for (const [option, given] of Object.entries({ durable, reset, serial })) {
    if (typeof given !== "boolean") throw invalidOption(factory, option, given, "true or false");
  }
  requireBackfill(factory, backfill);
  if (timeout !== undefined && !(timeout > 0 && timeout < Infinity))
    throw invalidOption(factory, "timeout", timeout, "milliseconds above 0");
  requireWhole(factory, "maxInFlight", maxInFlight);
  checkFeatures(factory, asked.broker, features, options);
  return {
    stream,
    name,
    durable,
    backfill,
    reset,
    exclusive: serial,
    ackWait: features.ackWait === "none" ? undefined : (timeout ?? defaultAckWait),
    maxInFlight,
    isOrdered: orderOf(asked) !== "none",
    native: options.native,
  };
}

/**
 * `parkKey` gives the parking of whoever says nothing about it.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED`
 */
export function settingsOf(
  asked: Asked<Omit<SubscribeOptions<unknown>, keyof PullOptions>>,
  parkKey: () => KeyParking | undefined,
): ConsumeSettings {
  const { features, options } = asked;
  const { concurrency = 16, batch, retry, serial = false } = options;
  const order = orderOf(asked);
  requireWhole("subscribe", "concurrency", concurrency);
  if (order !== "key" && order !== "none") throw invalidOption("subscribe", "order", order, '"key" or "none"');
  if (serial && order === "none") throw invalidOption("subscribe", "order", order, '"key", or none at all, where serial is true');
  if (batch !== undefined) {
    requireWhole("subscribe", "batch.size", batch.size);
    requireDelay("batch.wait", batch.wait);
    if (serial) throw invalidOption("subscribe", "batch", batch, "none where serial is true, which is one by one");
  }
  const deadLetter = deadLetterOf(options.deadLetter ?? false, asked, order === "none" ? () => undefined : parkKey);
  if (deadLetter?.parkKey !== undefined && order === "none")
    throw invalidOption("subscribe", "deadLetter.parkKey", deadLetter.parkKey, 'none where order is "none"; there is no order to keep');
  return {
    order: serial ? "serial" : order,
    concurrency: serial ? 1 : concurrency,
    batch,
    rules: {
      ...delaysOf(retry),
      hasDeadLetter: deadLetter !== undefined,
      holds: serial || order === "key" || !features.delay,
    },
    deadLetter,
  };
}

/** What the subscription has, where it says nothing the most that its broker can keep. */
function orderOf({ features, options }: Asked<Pick<SubscribeOptions, "order">>): "key" | "none" {
  return options.order ?? (features.keyOrder === "none" ? "none" : "key");
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireStream(factory: string, option: string, stream: unknown): void {
  if (typeof stream !== "string" || stream === "") throw invalidOption(factory, option, stream, "a string that is not empty");
}

function delaysOf({ delays }: RetryDelays = { delays: defaultDelays }): Pick<SettleRules, "delayAfter" | "lastDelay"> {
  if (typeof delays === "function") {
    return { delayAfter: (attempt, error) => checkedDelay(delays(attempt, error)), lastDelay: 60_000 };
  }
  if (!Array.isArray(delays)) throw invalidOption("subscribe", "retry.delays", delays, "a list of milliseconds, or a function");
  for (const delay of delays) requireDelay("retry.delays", delay);
  return { delayAfter: (attempt) => delays[attempt - 1], lastDelay: delays.at(-1) ?? 1_000 };
}

/** What a user's function says in the middle of the work must not stop the work: nonsense ends the attempts. */
function checkedDelay(delay: number | undefined): number | undefined {
  return delay !== undefined && delay >= 0 ? delay : undefined;
}

function deadLetterOf(
  given: string | DeadLetterStream | false,
  { stream: original, features }: Asked<unknown>,
  defaultParking: () => KeyParking | undefined,
): DeadLetterSettings | undefined {
  if (given === false) return undefined;
  const {
    stream,
    includeStack = false,
    retention = features.expiry ? fortnight : undefined,
    parkKey: ownParking,
  } = typeof given === "string" ? { stream: given } : given;
  requireStream("subscribe", "deadLetter", stream);
  if (stream === original) throw invalidOption("subscribe", "deadLetter", stream, "another stream than the one subscribed to");
  if (retention !== undefined && !(retention > 0))
    throw invalidOption("subscribe", "deadLetter.retention", retention, "milliseconds above 0");
  const parkKey = ownParking === false ? undefined : (ownParking ?? defaultParking());
  if (parkKey !== undefined && typeof parkKey.visit !== "function")
    throw invalidOption("subscribe", "deadLetter.parkKey", parkKey, "what parkedKeys() of event-driver/dead-letters returns, or false");
  return { stream, includeStack, retention, parkKey };
}

function requireBackfill(factory: string, backfill: unknown): void {
  if (typeof backfill === "boolean") return;
  if (backfill instanceof Date && !Number.isNaN(backfill.getTime())) return;
  if (typeof backfill === "object" && backfill !== null && "position" in backfill && typeof backfill.position === "string") return;
  throw invalidOption(factory, "backfill", backfill, "true, false, a valid Date or { position }");
}

function requireWhole(factory: string, option: string, given: number): void {
  if (!Number.isInteger(given) || given < 1) throw invalidOption(factory, option, given, "a whole number from 1");
}

function requireDelay(option: string, given: number): void {
  if (!(given >= 0 && given < Infinity)) throw invalidOption("subscribe", option, given, "milliseconds from 0");
}
