import type { Message, StorableContent } from "../../message.ts";
import type { Rule } from "./transformer.ts";

import { withContent } from "../../message.ts";

/**
 * Replaces the content by what a function makes of it.
 *
 * Use it for text and bytes that stay such. For typed content use `decode`, which also says what is wrong with it.
 *
 * @example transformer(mapContent((content, message) => (message.source === "event1" ? content : redact(content))))
 */
export function mapContent(change: (content: StorableContent, message: Message) => StorableContent | Promise<StorableContent>): Rule {
  return (message) => {
    const content = change(message.content, message);
    return content instanceof Promise ? content.then((later) => withContent(message, later)) : withContent(message, content);
  };
}
