import type { Context } from "../context.ts";
import type { AnyMessage, Handler, PassThrough } from "../pipeline/handler.ts";

import { liveSignal } from "../context.ts";
import { invalidOption } from "../errors.ts";

export interface TapOptions {
  /**
   * What a failure of the function does: `throw` fails the message, `log` reports it to `ctx.logger` and lets the message go on.
   * @default "throw": a failure that nobody reads in a log is a failure lost
   */
  readonly onError?: "log" | "throw";
}

/**
 * Runs a function on every message and passes the message on as it was.
 *
 * Use it to count, to audit, or to look at what flows. The message waits for the function; a function that must not hold it up starts its work
 * and returns. To look into decoded content, annotate the parameter.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example pipeline().use(tap((message) => counter.add(1, { source: message.source }), { onError: "log" })).use(charge)
 */
export function tap(look: (message: AnyMessage, ctx: Context) => void | Promise<void>, options?: TapOptions): PassThrough;
export function tap<M extends AnyMessage>(look: (message: M, ctx: Context) => void | Promise<void>, options?: TapOptions): Handler<M, M>;
export function tap<M extends AnyMessage>(
  look: (message: M, ctx: Context) => void | Promise<void>,
  { onError = "throw" }: TapOptions = {},
): Handler<M, M> {
  if (typeof look !== "function") throw invalidOption("tap", "look", look, "a function");
  if (onError !== "log" && onError !== "throw") throw invalidOption("tap", "onError", onError, '"log" or "throw"');

  return {
    traits: { name: "tap" },
    async process(ctx, message, next) {
      try {
        await look(message, ctx);
      } catch (error) {
        if (onError === "throw" || liveSignal(ctx)?.aborted) throw error;
        ctx.logger.error({ err: error, id: message.id, key: message.key, source: message.source }, "a tap failed; its message goes on");
      }
      return next(ctx, message);
    },
  };
}
