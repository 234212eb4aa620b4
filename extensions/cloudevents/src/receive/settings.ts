import { type Clock, invalidOption, type Logger, type Message, silentLogger, systemClock } from "event-driver";

import type { EventHandlerOptions } from "./receiver-options.ts";
import type { EventRequest } from "./request.ts";

import { type KeyOptions, keyOrder } from "../event/key.ts";
import { messageOf, type WireEvent } from "../event/wire-event.ts";

/** The options with every default in its place. */
export interface EventHandlerSettings {
  readonly path: string | undefined;
  readonly bodyBytes: number;
  readonly batchEvents: number;
  readonly depth: number;
  readonly requestTime: number;
  readonly deadline: number | undefined;
  readonly concurrency: number;
  readonly queue: number;
  readonly contentEncodings: readonly ("gzip" | "deflate")[];
  readonly authenticate: EventHandlerOptions["authenticate"];
  readonly readEvents: EventHandlerOptions["readEvents"];
  readonly toMessage: (event: WireEvent, request: EventRequest) => Message;
  readonly sweepOn: string | undefined;
  readonly toResult: EventHandlerOptions["toResult"];
  readonly allowedOrigins: readonly string[] | undefined;
  readonly allowedRate: number | "*";
  readonly health: { readonly path: string; readonly check: () => Promise<unknown> } | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Checks the options and puts the defaults in place.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, naming the factory that was given them
 */
export function settingsOf(factory: string, options: EventHandlerOptions): EventHandlerSettings {
  const { deadline = 30_000, health = {}, keyFrom } = options;
  const keys: KeyOptions = keyFrom === undefined ? {} : { keyFrom };
  const order = keyOrder(factory, keys);
  checkPaths(factory, options);
  checkHandshake(factory, options);
  if (deadline !== false && !(deadline > 0)) throw invalidOption(factory, "deadline", deadline, "milliseconds above 0, or false");
  if (options.sweepOn === "") throw invalidOption(factory, "sweepOn", "", "the type of an event");
  for (const coding of options.contentEncodings ?? []) {
    if (coding !== "gzip" && coding !== "deflate") throw invalidOption(factory, "contentEncodings", coding, '"gzip" and "deflate"');
  }
  const whole = (name: WholeOption, fallback: number, least: number, most?: number): number =>
    wholeNumber(factory, name, options[name] ?? fallback, least, most);

  return {
    path: options.path,
    bodyBytes: whole("bodyBytes", 1_048_576, 1),
    batchEvents: whole("batchEvents", 1_000, 1),
    depth: whole("jsonDepth", 128, 1, 999),
    requestTime: whole("requestTime", 30_000, 1),
    deadline: deadline === false ? undefined : deadline,
    concurrency: whole("concurrency", 100, 1),
    queue: whole("queue", 1_000, 0),
    contentEncodings: options.contentEncodings ?? [],
    authenticate: options.authenticate,
    readEvents: options.readEvents,
    toMessage: options.toMessage ?? ((event) => messageOf(event, order)),
    sweepOn: options.sweepOn,
    toResult: options.toResult,
    allowedOrigins: options.allowedOrigins,
    allowedRate: options.allowedRate ?? "*",
    health: health === false ? undefined : { path: health.path ?? "/healthz", check: health.check ?? (() => Promise.resolve()) },
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
  };
}

type WholeOption = "bodyBytes" | "batchEvents" | "jsonDepth" | "requestTime" | "concurrency" | "queue";

function checkPaths(factory: string, { path, health }: EventHandlerOptions): void {
  const allowed = "a path that begins with a slash";
  if (path !== undefined && !path.startsWith("/")) throw invalidOption(factory, "path", path, allowed);
  if (health === undefined || health === false || health.path === undefined) return;
  if (!health.path.startsWith("/")) throw invalidOption(factory, "health.path", health.path, allowed);
}

function checkHandshake(factory: string, { allowedOrigins = [], allowedRate = "*" }: EventHandlerOptions): void {
  for (const origin of allowedOrigins) {
    if (!/^(\*|[A-Za-z0-9._:-]+)$/.test(origin)) throw invalidOption(factory, "allowedOrigins", origin, 'DNS names, or "*"');
  }
  if (allowedRate === "*" || (Number.isSafeInteger(allowedRate) && allowedRate > 0)) return;
  throw invalidOption(factory, "allowedRate", allowedRate, 'a whole number from 1, or "*"');
}

function wholeNumber(factory: string, name: string, given: number, least: number, most?: number): number {
  if (Number.isSafeInteger(given) && given >= least && given <= (most ?? given)) return given;
  throw invalidOption(factory, name, given, `a whole number from ${least}${most === undefined ? "" : ` to ${most}`}`);
}
