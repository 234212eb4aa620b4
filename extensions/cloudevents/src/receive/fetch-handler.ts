import { isEventDriverError, type Processor } from "event-driver";

import type { EventHandlerOptions } from "./receiver-options.ts";

import { collect } from "./decompress.ts";
import { createEventHandler } from "./event-handler.ts";
import { type BodyLimits, bodyIncomplete, bodyTaken, type EventResponse, type IncomingEventRequest } from "./request.ts";
import { settingsOf } from "./settings.ts";

/** Options of {@link fetchHandler}. */
export interface FetchHandlerOptions extends EventHandlerOptions {}

/**
 * What `receiver` does, for platforms that speak in `Request` and `Response`: Hono, Deno, Bun, workers and other serverless runtimes.
 *
 * Nothing runs between requests there, so call `pipeline.sweep()` from a timer of the platform. The platform bounds the header.
 * It joins fields that were sent twice, so a `ce-` header sent twice is not noticed.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example app.post("/events", (c) => handleEvents(c.req.raw)); // Hono, with: const handleEvents = fetchHandler(orders)
 */
export function fetchHandler(pipeline: Processor, options: FetchHandlerOptions = {}): (request: Request) => Promise<Response> {
  const handler = createEventHandler(pipeline, settingsOf("fetchHandler", options));
  return async (request) => responseOf(await handler.handle(incoming(request)));
}

function incoming(request: Request): IncomingEventRequest {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    path: pathname,
    query: search.slice(1),
    headers: {
      get: (name) => request.headers.get(name) ?? undefined,
      forEach: (visit) => request.headers.forEach(visit),
    },
    readBody: (limits) => readBody(request, limits),
  };
}

/** Reads chunk by chunk: `arrayBuffer()` would hold a body of any size before it could be refused. */
function readBody({ body, bodyUsed }: Request, { bytes, time, clock }: BodyLimits): Promise<Uint8Array> {
  if (bodyUsed) return Promise.reject(bodyTaken());
  if (body === null) return Promise.resolve(new Uint8Array());
  return new Promise((resolve, reject) => {
    const reader = body.getReader();
    const giveUp = (cause?: unknown): void => reject(isEventDriverError(cause) ? cause : bodyIncomplete(cause));
    const stopTimer = clock.after(time, () => {
      giveUp();
      // Ends the read below; how, is of no interest any more.
      reader.cancel().catch(giveUp);
    });
    void collect(reader, bytes).then(resolve, giveUp).finally(stopTimer);
  });
}

function responseOf({ status, headers = {}, body }: EventResponse): Response {
  // A copy, because a body may not lie in memory that is shared.
  return new Response(typeof body === "object" ? new Uint8Array(body) : (body ?? null), { status, headers });
}
