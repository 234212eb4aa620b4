import type { Rule } from "./transformer.ts";

import { withContent } from "../../message.ts";

/**
 * Empties the content of messages from these sources, so that nothing of it is kept or passed on.
 *
 * Use it for an event that only says that something happened, or whose content is not to be stored. That it came, its key, time and attributes
 * remain.
 *
 * @example transformer(eraseContentFromSources("event1"))
 */
export function eraseContentFromSources(...sources: readonly string[]): Rule {
  const erased = new Set(sources);
  return (message) => (erased.has(message.source) ? withContent(message, "") : message);
}
