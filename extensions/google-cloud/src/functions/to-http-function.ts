import type { Processor } from "event-driver";
import type { IncomingMessage, ServerResponse } from "node:http";

import { type EventHandlerOptions, receiver } from "@event-driver/cloudevents";

import { countingAttempts } from "../receive/attempts.ts";
import { handOverTerminal, type TerminalOptions } from "../receive/on-terminal.ts";

export interface HttpFunctionOptions extends Omit<EventHandlerOptions, "bodyBytes">, TerminalOptions {
  /**
   * Largest body, in bytes, as the framework has decompressed it. More is answered with 413.
   * @default 16_777_216 (16 MiB), which holds the largest message of Pub/Sub
   */
  readonly bodyBytes?: number | undefined;
}

/** What `functions.http` takes. */
export type HttpFunction = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * A pipeline as an HTTP function, which is also how a function with an event trigger receives its events: byte for byte, in every content mode,
 * batches included, and answered by the table of the receiver.
 *
 * Register it with `functions.http`, whatever the trigger. Requests may run side by side: nothing is kept between them.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example functions.http("orders", toHttpFunction(orders, { onTerminal: keep }));
 */
export function toHttpFunction(pipeline: Processor, options: HttpFunctionOptions = {}): HttpFunction {
  const { onTerminal, bodyBytes = 16_777_216, toResult, ...rest } = options;
  return receiver(countingAttempts(pipeline), {
    ...rest,
    bodyBytes,
    toResult: onTerminal === undefined ? toResult : handOverTerminal(onTerminal, toResult),
  }).requestListener;
}
