import type { EventStore } from "../../../src/stores/event-store.ts";

import { type BadStore, everyKey, type Flaw, withFlaw } from "./bad-store.ts";

/** Stores that take one name for another, by what they make of a key or source before they use it. */
const confusions: readonly { readonly flaw: string; readonly group: string; readonly name: (text: string) => string }[] = [
  { flaw: "the empty string is a blank", group: "the empty one", name: (text) => text || " " },
  { flaw: "repeated slashes are one", group: "slashes", name: (text) => text.replaceAll("//", "/") },
  { flaw: "names are made safe for files", group: "dots and other separators", name: (text) => text.replaceAll(/\W/g, "_") },
  { flaw: "keys are trimmed", group: "white space at the ends", name: (text) => text.trim() },
  { flaw: "line ends are normalised", group: "line ends", name: (text) => text.replaceAll("\r\n", "\n") },
  { flaw: "strings end at NUL", group: "NUL", name: (text) => text.replace(/\0.*$/s, "") },
  { flaw: "quotes are doubled", group: "quotes and SQL", name: (text) => text.replace(/^'$/, "''") },
  { flaw: "percent signs are decoded", group: "wildcards and percent signs", name: (text) => text.replaceAll("%2F", "/") },
  { flaw: "there is no plane but the first", group: "emoji and other planes", name: (text) => text.replaceAll(/[^\0-\uFFFF]/gu, "?") },
  { flaw: "strings are normalised to NFC", group: "NFC and NFD", name: (text) => text.normalize("NFC") },
  { flaw: "strings are stored as UTF-8", group: "lone surrogates", name: (text) => text.toWellFormed() },
  { flaw: "keys are compared without case", group: "upper and lower case", name: (text) => text.toLowerCase() },
  { flaw: "a plain object is used as a map", group: "names that JavaScript reserves", name: (text) => (text in {} ? "reserved" : text) },
  {
    flaw: "numbers are stored as numbers",
    group: "what looks like another type",
    name: (text) => (text === "NaN" ? text : asNumber(text)),
  },
  { flaw: "names are cut after 5 characters", group: "prefixes of one another", name: (text) => text.slice(0, 5) },
  { flaw: "names are cut after 255 characters", group: "1,000 characters", name: (text) => text.slice(0, 255) },
];

export const badNames: readonly BadStore[] = [
  ...confusions.map(({ flaw, group, name }) => ({
    flaw,
    caughtBy: [`any string is a key or a source, the empty one included: ${group}`],
    open: () => withFlaw(renaming(name)),
  })),
  {
    flaw: "prefix leak: a key lists the entries of longer keys",
    caughtBy: ["no key can reach another's entries", "any string is a key or a source, the empty one included: prefixes of one another"],
    open: () => withFlaw(listingKeysThat((other, key) => other.startsWith(key))),
  },
  {
    flaw: "a key is a pattern",
    caughtBy: [
      "no key can reach another's entries",
      "any string is a key or a source, the empty one included: wildcards and percent signs",
    ],
    open: () => withFlaw(listingKeysThat((other, key) => other === key || (key.endsWith("%") && other.startsWith(key.slice(0, -1))))),
  },
  {
    flaw: "key and source are joined by a separator",
    caughtBy: ["no key can reach another's entries: where one ends and the source begins"],
    open: () => withFlaw(joiningKeyAndSource),
  },
];

/** Uses the name in place of the text, and still gives out the text that was last stored under it. */
function renaming(name: (text: string) => string): Flaw {
  return (inner) => {
    const texts = new Map<string, string>();
    const remembered = (text: string): string => {
      texts.set(name(text), text);
      return name(text);
    };
    const textOf = (stored: string): string => texts.get(stored) ?? stored;

    return {
      persist: (message, options) =>
        inner.persist({ ...message, key: remembered(message.key), source: remembered(message.source) }, options),
      async lookUp(key, source, options) {
        const entry = await inner.lookUp(name(key), name(source), options);
        return entry && { ...entry, message: { ...entry.message, key, source } };
      },
      listSourcesByKey: async (key, options) => (await inner.listSourcesByKey(name(key), options)).map(textOf),
      remove: (key, source, options) => inner.remove(name(key), name(source), options),
      listKeys: async ({ after, ...options }) =>
        (await inner.listKeys({ ...options, ...(after !== undefined && { after: name(after) }) })).map(textOf),
    };
  };
}

function listingKeysThat(match: (other: string, key: string) => boolean): Flaw {
  return (inner) => {
    const matching = async (key: string): Promise<readonly string[]> => (await everyKey(inner)).filter((other) => match(other, key));
    const flat = async <Item>(key: string, list: (store: EventStore, key: string) => Promise<readonly Item[]>): Promise<readonly Item[]> =>
      (await Promise.all((await matching(key)).map((other) => list(inner, other)))).flat();
    return {
      lookUpByKey: (key) => flat(key, (store, other) => store.lookUpByKey(other)),
      listSourcesByKey: (key) => flat(key, (store, other) => store.listSourcesByKey(other)),
    };
  };
}

function joiningKeyAndSource(inner: EventStore): Partial<EventStore> {
  return {
    persist: (message, options) => inner.persist({ ...message, key: `${message.key}|${message.source}`, source: "" }, options),
    lookUp: (key, source, options) => inner.lookUp(`${key}|${source}`, "", options),
  };
}

function asNumber(text: string): string {
  return text.trim() === "" || Number.isNaN(Number(text)) ? text : String(Number(text));
}
