import { type Clock, type Logger, type Message, silentLogger, systemClock } from "event-driver";

import type { EventHandlerOptions } from "./receiver-options.ts";
import type { EventRequest } from "./request.ts";

import { invalidOption } from "./errors.ts";
import { type KeyOptions, keyOrder } from "./key.ts";
import { fromWire, type WireEvent } from "./wire-event.ts";

/** @internal The options with every default in its place. */
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
  readonly toMessage: (event: WireEvent, request: EventRequest) => Message;
  readonly toResponse: EventHandlerOptions["toResponse"];
  readonly allowedOrigins: readonly string[] | undefined;
  readonly allowedRate: number | "*";
  readonly health: { readonly path: string; readonly check: () => Promise<unknown> } | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** @internal @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(factory: string, options: EventHandlerOptions): EventHandlerSettings {
  const { path, deadline = 30_000, contentEncodings = [], allowedOrigins, allowedRate = "*", health = {} } = options;
  const whole = (name: WholeOption, fallback: number, least: number, most = Number.MAX_SAFE_INTEGER): number => {
    const given = options[name] ?? fallback;
    if (Number.isSafeInteger(given) && given >= least && given <= most) return given;
    throw invalidOption(
      factory,
      name,
      given,
      most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least}` : `a whole number from ${least} to ${most}`,
    );
  };
  requirePath(factory, "path", path);
  if (deadline !== false && !(deadline > 0)) throw invalidOption(factory, "deadline", deadline, "milliseconds above 0, or false");
  for (const coding of contentEncodings) {
    if (coding !== "gzip" && coding !== "deflate") throw invalidOption(factory, "contentEncodings", coding, '"gzip" and "deflate"');
  }
  for (const origin of allowedOrigins ?? []) {
    if (!/^(\*|[A-Za-z0-9._:-]+)$/.test(origin)) throw invalidOption(factory, "allowedOrigins", origin, 'DNS names, or "*"');
  }
  if (allowedRate !== "*" && !(Number.isSafeInteger(allowedRate) && allowedRate > 0))
    throw invalidOption(factory, "allowedRate", allowedRate, 'a whole number from 1, or "*"');
  const healthPath = health === false ? undefined : (health.path ?? "/healthz");
  requirePath(factory, "health.path", healthPath);
  const keys: KeyOptions = options.keyFrom === undefined ? {} : { keyFrom: options.keyFrom };
  keyOrder(factory, keys);

  return {
    path,
    bodyBytes: whole("bodyBytes", 1_048_576, 1),
    batchEvents: whole("batchEvents", 1_000, 1),
    depth: whole("jsonDepth", 128, 1, 999),
    requestTime: whole("requestTime", 30_000, 1),
    deadline: deadline === false ? undefined : deadline,
    concurrency: whole("concurrency", 100, 1),
    queue: whole("queue", 1_000, 0),
    contentEncodings,
    authenticate: options.authenticate,
    toMessage: options.toMessage ?? ((event) => fromWire(event, keys)),
    toResponse: options.toResponse,
    allowedOrigins,
    allowedRate,
    health:
      health === false || healthPath === undefined ? undefined : { path: healthPath, check: health.check ?? (() => Promise.resolve()) },
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
  };
}

type WholeOption = "bodyBytes" | "batchEvents" | "jsonDepth" | "requestTime" | "concurrency" | "queue";

function requirePath(factory: string, option: string, given: string | undefined): void {
  if (given !== undefined && !given.startsWith("/")) throw invalidOption(factory, option, given, "a path that begins with a slash");
}
