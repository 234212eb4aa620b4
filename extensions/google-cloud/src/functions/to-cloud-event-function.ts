import { type EventHandlerOptions, fetchHandler } from "@event-driver/cloudevents";
import { EventDriverError, type Processor, quote } from "event-driver";

import { countingAttempts } from "../receive/attempts.ts";
import { isObject, textIn } from "../receive/json-fields.ts";
import { handOverTerminal, type TerminalOptions } from "../receive/on-terminal.ts";
import { requestOf } from "./framework-event.ts";

type FittingOptions =
  | "batchEvents"
  | "clock"
  | "concurrency"
  | "deadline"
  | "jsonDepth"
  | "keyFrom"
  | "logger"
  | "queue"
  | "sweepOn"
  | "toMessage";

export interface CloudEventFunctionOptions extends Pick<EventHandlerOptions, FittingOptions>, TerminalOptions {}

/** What `functions.cloudEvent` takes. */
export type CloudEventFunction = (event: unknown) => Promise<void>;

/**
 * A pipeline as a CloudEvent function. It returns when the event is done, and throws when Google should deliver it again.
 *
 * Use it where the signature has to be that one; otherwise `toHttpFunction` fits event triggers too and is more exact. The framework parses JSON
 * data before a function sees it, so that here a number beyond 2^53 has lost digits; it forgets the type of other data; and it can answer
 * nothing but 204 and 500. A batch, which it hands over as bytes, is taken apart here and acknowledged
 * when each of its events is done. What `onTerminal` gets as `request` and `body` is the event written anew.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the function it returns throws `ERR_HANDLER_FAILED` for what is to be delivered again, and what
 * can never succeed but has no `onTerminal`
 * @example functions.cloudEvent("orders", toCloudEventFunction(orders, { onTerminal: keep }));
 */
export function toCloudEventFunction(pipeline: Processor, options: CloudEventFunctionOptions = {}): CloudEventFunction {
  const { onTerminal, ...rest } = options;
  const handle = fetchHandler(countingAttempts(pipeline), {
    ...rest,
    // The framework has read it whole already, whatever its size.
    bodyBytes: Number.MAX_SAFE_INTEGER,
    health: false,
    toResult: onTerminal && handOverTerminal(onTerminal, undefined),
  });

  return async (event) => {
    const response = await handle(requestOf(event));
    if (!response.ok) throw notAcknowledged(response.status, await response.json());
  };
}

/** The framework logs it, and answers with 500. */
function notAcknowledged(status: number, problem: unknown): EventDriverError {
  const said = isObject(problem) ? problem : {};
  const id = textIn(said, "id");
  return new EventDriverError("ERR_HANDLER_FAILED", {
    message: `${id === undefined ? "a request" : `event ${quote(id)}`} is not acknowledged (${textIn(said, "code") ?? status}): ${textIn(said, "detail")}`,
    retryable: true,
  });
}
