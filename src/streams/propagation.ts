import type { Context, ContextValue } from "../context.ts";

import { invalidOption } from "../errors.ts";
import { type Message, withAttributes } from "../message.ts";

/** A context value that travels with messages. */
export interface Propagated {
  /** The attribute it is written to: lower-case letters and digits, at most 20. */
  readonly attribute: string;
  readonly value: ContextValue<string>;
}

/** The message with the values that the context has. What a message says itself stays. */
export function writePropagated(message: Message, ctx: Context, propagate: readonly Propagated[]): Message {
  const added: Record<string, string> = {};
  for (const { attribute, value } of propagate) {
    const text = value.get(ctx);
    if (text !== undefined && message.attributes[attribute] === undefined) added[attribute] = text;
  }
  return Object.keys(added).length === 0 ? message : withAttributes(message, added);
}

/** A context with the values that the message has. */
export function readPropagated(ctx: Context, message: Message, propagate: readonly Propagated[]): Context {
  let extended = ctx;
  for (const { attribute, value } of propagate) {
    const text = message.attributes[attribute];
    if (text !== undefined) extended = value.set(extended, text);
  }
  return extended;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requirePropagated(propagate: readonly Propagated[]): void {
  for (const { attribute } of propagate) {
    if (!/^[a-z0-9]{1,20}$/.test(attribute))
      throw invalidOption("createConnection", "propagate", attribute, "attributes of 1 to 20 lower-case letters and digits");
  }
}
