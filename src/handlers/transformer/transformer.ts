import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Handler, Next } from "../../pipeline/handler.ts";

import { invalidOption } from "../../errors.ts";

/**
 * Makes one message of another. It returns the message it was given where there is nothing to change, and never changes that one itself.
 *
 * It may be asynchronous; one that is not costs no promise.
 */
export type Rule = (message: Message, ctx: Context) => Message | PromiseLike<Message>;

/**
 * Passes every message through the rules, in the order given, and the result to the stages behind.
 *
 * Use it in front of a joiner to bring names and contents into the shape that is to be kept. To turn content into typed values use `decode`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION` when a rule is not a function
 * @example
 * const toTotal: Rule = (message) => withAttributes(message, { currency: "EUR" });
 * pipeline().use(transformer(renameSources({ orders: ["orders-v1"] }), eraseContentFromSources("ping"), toTotal));
 */
export function transformer(...rules: readonly Rule[]): Handler {
  for (const [index, rule] of rules.entries()) {
    if (typeof rule !== "function") throw invalidOption("transformer", `rule ${index}`, rule, "a function from a message to a message");
  }

  return {
    traits: { name: "transformer" },
    process(ctx, message, next) {
      let transformed = message;
      let applied = 0;
      for (const rule of rules) {
        const result = rule(transformed, ctx);
        applied += 1;
        if (isPending(result)) return finish(result, rules.slice(applied), ctx, next);
        transformed = result;
      }
      return next(ctx, transformed);
    },
  };
}

async function finish(pending: PromiseLike<Message>, rules: readonly Rule[], ctx: Context, next: Next): Promise<void> {
  let transformed = await pending;
  for (const rule of rules) transformed = await rule(transformed, ctx);
  return next(ctx, transformed);
}

function isPending(result: Message | PromiseLike<Message>): result is PromiseLike<Message> {
  return "then" in result;
}
