import type { Context } from "../context.ts";
import type { AnyMessage, Handler, Next, PassThrough } from "../pipeline/handler.ts";

import { invalidOption } from "../errors.ts";

/**
 * Lets only messages through for which the predicate holds; the others end here, successfully, as `filtered`.
 *
 * Use it for messages that are none of this pipeline's business. A message that ought not to exist is better failed, with a `TerminalError`,
 * so that somebody hears of it.
 *
 * With a type guard, the stages behind it are typed by what it proves. To look into decoded content, annotate the parameter.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION` when the predicate is not a function
 * @example pipeline().use(filter((message) => isType(message, "order.created"))).use(charge)
 * @example pipeline().use(decode(Order)).use(filter((order: Message<Order>) => order.content.total > 0)).use(charge)
 */
export function filter<In extends AnyMessage, Out extends In>(predicate: (message: In, ctx: Context) => message is Out): Handler<In, Out>;
export function filter(predicate: (message: AnyMessage, ctx: Context) => boolean | Promise<boolean>): PassThrough;
export function filter<M extends AnyMessage>(predicate: (message: M, ctx: Context) => boolean | Promise<boolean>): Handler<M, M>;
export function filter<M extends AnyMessage>(predicate: (message: M, ctx: Context) => boolean | Promise<boolean>): Handler<M, M> {
  if (typeof predicate !== "function") throw invalidOption("filter", "predicate", predicate, "a function from a message to a boolean");

  return {
    traits: { name: "filter" },
    process(ctx, message, next) {
      const kept = predicate(message, ctx);
      return kept instanceof Promise ? kept.then((later) => decide(later, ctx, message, next)) : decide(kept, ctx, message, next);
    },
  };
}

function decide<M extends AnyMessage>(kept: boolean, ctx: Context, message: M, next: Next<Context, M>): Promise<void> {
  if (kept) return next(ctx, message);
  ctx.ended("filtered");
  return Promise.resolve();
}
