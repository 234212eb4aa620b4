import { invalidOption } from "event-driver";
import type { Processor } from "event-driver";
import type { IncomingMessage, ServerResponse } from "node:http";

import type { EventHandlerOptions } from "./receiver-options.ts";

import { createEventHandler } from "./event-handler.ts";
import { type Listening, type ListenOptions, startListening } from "./listen.ts";
import { requestListener } from "./request-listener.ts";
import { settingsOf } from "./settings.ts";

export interface ReceiverOptions extends EventHandlerOptions {
  /**
   * Most bytes of a request's header, where `listen` makes the server. More is answered with 431.
   * @default 16_384 (16 KiB)
   */
  readonly headerBytes?: number | undefined;
  /**
   * How `listen` sweeps the pipeline, see `startSweeping`: every so many milliseconds on average. With `false` it does not; then call
   * `pipeline.sweep()` from elsewhere, or windows do not end and what crashed is finished only when its sender tries again.
   * @default { every: 5_000 }
   */
  readonly sweep?: { readonly every: number } | false | undefined;
  /**
   * Milliseconds that `close` waits for what is in flight before it makes it give up.
   * @default 10_000
   */
  readonly drainTime?: number | undefined;
}

/** Receives CloudEvents over HTTP on Node.js. */
export interface Receiver {
  /**
   * Starts a server of its own, and the sweep. Resolves when it is ready.
   *
   * @throws EventDriverError `ERR_INVALID_OPTION`; what node:net says when the address cannot be used
   */
  listen(options?: ListenOptions): Promise<Listening>;
  /**
   * Answers one request: the listener for `http.createServer`, or to be mounted in a framework in front of whatever reads bodies. It neither
   * sweeps nor drains; whose server it is, does.
   */
  readonly requestListener: (request: IncomingMessage, response: ServerResponse) => void;
}

/**
 * Runs every CloudEvent that arrives over HTTP through a pipeline, and answers so that the sender tries again exactly when that is worth it.
 *
 * It understands the binary, structured and batch content modes of HTTP binding 1.0.2. An event is processed to its end even when its sender
 * hangs up meanwhile: it may have been done already, and the sender will ask again. For platforms without node:http use `fetchHandler`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const listening = await receiver(orders).listen({ port: 8080 });
 */
export function receiver(pipeline: Processor, options: ReceiverOptions = {}): Receiver {
  const settings = settingsOf("receiver", options);
  const { headerBytes = 16_384, sweep = { every: 5_000 }, drainTime = 10_000 } = options;
  if (!Number.isSafeInteger(headerBytes) || headerBytes < 1_024)
    throw invalidOption("receiver", "headerBytes", headerBytes, "a whole number from 1024");
  if (sweep !== false && !(sweep.every > 0)) throw invalidOption("receiver", "sweep.every", sweep.every, "milliseconds above 0");
  if (!(drainTime >= 0)) throw invalidOption("receiver", "drainTime", drainTime, "milliseconds from 0");

  return {
    requestListener: requestListener(createEventHandler(pipeline, settings)),
    listen: (where) => startListening(pipeline, settings, { headerBytes, sweep, drainTime }, where),
  };
}
