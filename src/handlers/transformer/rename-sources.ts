import type { Rule } from "./transformer.ts";

import { invalidOption, quote } from "../../errors.ts";
import { withSource } from "../../message.ts";

/**
 * Gives sources that go by several names one name each.
 *
 * Use it where topics differ between environments or versions and conditions should not. The message's identity stays what it was: the
 * former source is kept as `origin` where there was none.
 *
 * @param aliases for each name, the source names that become it
 * @throws EventDriverError `ERR_INVALID_OPTION` when an alias is claimed twice, or is itself a name that others are renamed to
 * @example transformer(renameSources({ orders: ["orders-v1", "staging.orders"] }))
 */
export function renameSources(aliases: Readonly<Record<string, readonly string[]>>): Rule {
  const names = namesByAlias(aliases);

  return (message) => {
    const name = names.get(message.source);
    return name === undefined ? message : withSource(message, name);
  };
}

function namesByAlias(aliases: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name, its] of Object.entries(aliases)) {
    if (!Array.isArray(its)) throw invalidOption("renameSources", quote(name), its, "an array of the source names that become it");
    for (const alias of its) {
      const other = names.get(alias);
      if (other !== undefined) {
        throw invalidOption("renameSources", `the alias ${quote(alias)} of ${quote(name)}`, alias, `what ${quote(other)} has not claimed`);
      }
      if (Object.hasOwn(aliases, alias)) {
        throw invalidOption("renameSources", `an alias of ${quote(name)}`, alias, "a name that is not a key itself");
      }
      names.set(alias, name);
    }
  }
  return names;
}
