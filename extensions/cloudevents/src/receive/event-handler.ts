import { EventDriverError, type Processor } from "event-driver";

import type { EventResponse, IncomingEventRequest } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { admit } from "./admission.ts";
import { createGate } from "./gate.ts";
import { allowedMethods, answerHandshake, methodNotAllowed } from "./handshake.ts";
import { answerHealth } from "./health.ts";
import { problemResponse } from "./problem.ts";
import { processEntries } from "./process-entries.ts";
import { readEntries } from "./read-entries.ts";
import { respond } from "./respond.ts";
import { statusOfFailure } from "./status.ts";

/** One behaviour for every server: requests in, responses out. */
export interface EventHandler {
  /** Never rejects. */
  handle(request: IncomingEventRequest): Promise<EventResponse>;
  /** Whether it takes no more events. */
  readonly stopped: boolean;
  /** Takes no more events, and says so in its health. */
  stop(): void;
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>;
  /** Makes what is in flight give up. */
  abort(): void;
  /** Aborts by that. */
  readonly signal: AbortSignal;
}

/** Answers requests by the table in the README: decodes events, runs them through the pipeline and tells the sender how that went. */
export function createEventHandler(pipeline: Processor, settings: EventHandlerSettings): EventHandler {
  const { logger, clock } = settings;
  const gate = createGate(settings.concurrency, settings.queue);
  const aborting = new AbortController();
  const { signal } = aborting;
  const health = answerHealth(settings);
  let stopped = false;

  const handle = async (request: IncomingEventRequest): Promise<EventResponse> => {
    if (request.path === settings.health?.path && isRead(request)) return health(stopped);
    const other = answerOther(request, settings);
    if (other !== undefined) return other;
    if (stopped) return unavailable("The service is shutting down; send the event again.");
    // In front of authenticate, so that a flood of strangers is bounded as well.
    if (!gate.enter()) return unavailable("The service has too much to do; send the event again later.");
    try {
      return await receive(request);
    } catch (error) {
      // Of authenticate, of toResult, or of a reply that no CloudEvent can carry.
      logger.error({ err: error }, "a request could not be answered as its outcome asks for");
      return problemResponse(statusOfFailure(error));
    } finally {
      gate.leave();
    }
  };

  const receive = async (request: IncomingEventRequest): Promise<EventResponse> => {
    const deadline = settings.deadline === undefined ? undefined : clock.now() + settings.deadline;
    const admission = await admit(request, settings.authenticate);
    if (admission.refusal !== undefined) return admission.refusal;
    const read = await readEntries(request, settings);
    const outcomes = await gate.run(() => processEntries(pipeline, read, { signal, deadline, clock, logger }, admission.context));
    return respond({ request, mode: read.mode, body: read.body, outcomes }, settings);
  };

  return {
    handle,
    signal,
    get stopped() {
      return stopped;
    },
    stop: () => void (stopped = true),
    idle: () => gate.empty(),
    abort: () => aborting.abort(new EventDriverError("ERR_OVERLOADED", { message: "the service is shutting down", retryable: true })),
  };
}

/** The answer to what is not an event at this receiver's path; `undefined` where it may be one. */
function answerOther(request: IncomingEventRequest, settings: EventHandlerSettings): EventResponse | undefined {
  const { method, path } = request;
  if (settings.path !== undefined && path !== settings.path) {
    // A sender would send again after 404, to the same wrong path.
    const status = method === "POST" ? 400 : 404;
    return problemResponse({ status, detail: "No events are taken at this path." });
  }
  if (method === "OPTIONS") return answerHandshake(request, settings);
  return method === "POST" ? undefined : methodNotAllowed(settings.allowedOrigins === undefined ? "POST" : allowedMethods);
}

function isRead({ method }: IncomingEventRequest): boolean {
  return method === "GET" || method === "HEAD";
}

function unavailable(detail: string): EventResponse {
  return problemResponse({ status: 503, code: "ERR_OVERLOADED", detail });
}
