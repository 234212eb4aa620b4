import type { Rule } from "./transformer.ts";

/**
 * Changes nothing. Use it where a rule is asked for and there is none, as in the other branch of a configuration.
 *
 * @example transformer(keepContent ? identity() : eraseContentFromSources("event1"))
 */
export function identity(): Rule {
  return (message) => message;
}
