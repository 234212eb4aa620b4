import type { Attributes, Message } from "../../message.ts";
import type { Rule } from "./transformer.ts";

import { createMessage } from "../../message.ts";

/**
 * Replaces all attributes by what a function makes of them; what it leaves out is gone.
 *
 * Use it to take attributes away or rename them. To only add some, return `withAttributes(message, added)` from a rule of your own.
 *
 * The message fails with `ERR_INVALID_MESSAGE` when an attribute is not a string.
 *
 * @example transformer(mapAttributes(({ client, ...others }) => others))
 */
export function mapAttributes(change: (attributes: Attributes, message: Message) => Readonly<Record<string, string>>): Rule {
  return (message) => createMessage({ ...message, attributes: change(message.attributes, message) });
}
