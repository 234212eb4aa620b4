import type { DueEntry, EventStore, ListDueOptions } from "../../../src/stores/event-store.ts";

import { type BadStore, everyDue, everyKey, type Flaw, withFlaw } from "./bad-store.ts";

const dueOverPages = "listDue reports each entry once over its pages, those of one dueAt too";
const keysOverPages = "listKeys gives at most limit keys, and each once over its pages";

/** Stores that list too much, too little, or in another order. */
export const badLists: readonly BadStore[] = [
  {
    flaw: "before is exclusive",
    caughtBy: ["listDue reports every entry with dueAt <= before"],
    open: () => withFlaw(filteringDue(({ dueAt }, { before }) => dueAt < before)),
  },
  {
    flaw: "a dueAt of 0 is none",
    caughtBy: ["listDue reports every entry with dueAt <= before"],
    open: () => withFlaw(filteringDue(({ dueAt }) => dueAt !== 0)),
  },
  {
    flaw: "listDue is unordered",
    caughtBy: ["listDue reports oldest first"],
    open: () => withFlaw(sortingDue(() => 0)),
  },
  {
    flaw: "listDue sorts times as text",
    caughtBy: ["listDue reports oldest first"],
    open: () => withFlaw(sortingDue((one, other) => compare(String(one.dueAt), String(other.dueAt)))),
  },
  {
    flaw: "listDue ignores its limit",
    caughtBy: ["listDue reports at most limit entries"],
    open: () => withFlaw((inner) => ({ listDue: (options) => inner.listDue({ ...options, limit: 1_000 }) })),
  },
  {
    flaw: "a page of due entries begins behind the time of the last one: paging misses",
    caughtBy: [dueOverPages, "listDue reports each entry once over its pages, whatever its key and source"],
    open: () => withFlaw(filteringDue(({ dueAt }, { after }) => after === undefined || dueAt > after.dueAt)),
  },
  {
    flaw: "a page of due entries begins with the last one: paging repeats",
    caughtBy: [dueOverPages],
    open: () =>
      withFlaw(
        filteringDue(
          ({ dueAt, key }, { after }) => after === undefined || dueAt > after.dueAt || (dueAt === after.dueAt && key >= after.key),
        ),
      ),
  },
  {
    flaw: "a page of due entries begins at the place of the last one in the list",
    caughtBy: ["listDue goes on behind an entry that is no longer there, or due at another time"],
    open: () =>
      withFlaw((inner) => ({
        async listDue({ before, limit, after }) {
          const due = (await everyDue(inner)).filter(({ dueAt }) => dueAt <= before);
          const start = after === undefined ? 0 : due.findIndex(({ key, source }) => key === after.key && source === after.source) + 1;
          return due.slice(start, start + limit);
        },
      })),
  },
  {
    flaw: "listDue keeps to the first time an entry was given",
    caughtBy: ["listDue follows the last persist: moved to another time, due no more, removed"],
    open: () => withFlaw(keepingFirstDue),
  },
  {
    flaw: "a key is listed once for each of its sources",
    caughtBy: ["listKeys gives the keys that have entries, each once", keysOverPages],
    open: () =>
      withFlaw((inner) => ({
        listKeys: async (options) =>
          (
            await Promise.all((await inner.listKeys(options)).map(async (key) => (await inner.listSourcesByKey(key)).map(() => key)))
          ).flat(),
      })),
  },
  {
    flaw: "keys without entries are still listed",
    caughtBy: ["listKeys gives the keys that have entries, each once"],
    open: () =>
      withFlaw((inner) => ({
        remove: async (key, source) => inner.remove(key, (await inner.listSourcesByKey(key)).length > 1 ? source : ""),
      })),
  },
  {
    flaw: "a page of keys begins with the last one: paging repeats",
    caughtBy: [keysOverPages],
    open: () =>
      withFlaw((inner) => ({
        listKeys: async ({ limit, after = "" }) => (await everyKey(inner)).filter((key) => key >= after).slice(0, limit),
      })),
  },
  {
    flaw: "an empty key is no place to go on from",
    caughtBy: ["listKeys gives each key once over its pages, whatever it is"],
    open: () => withFlaw((inner) => ({ listKeys: ({ limit, after }) => inner.listKeys({ limit, ...(after && { after }) }) })),
  },
  {
    flaw: "keys are listed by their last write",
    caughtBy: ["listKeys gives keys in an order that does not change, with other keys coming and going"],
    open: () => withFlaw(listingByLastWrite),
  },
  {
    flaw: "a page of keys begins at the place of the last one in the list",
    caughtBy: ["listKeys goes on behind a key that has no entries any more"],
    open: () =>
      withFlaw((inner) => ({
        async listKeys({ limit, after }) {
          const keys = await everyKey(inner);
          const start = after === undefined ? 0 : keys.indexOf(after) + 1;
          return keys.slice(start, start + limit);
        },
      })),
  },
];

function filteringDue(isListed: (entry: DueEntry, options: ListDueOptions) => boolean): Flaw {
  return (inner) => ({
    listDue: async (options) =>
      (await everyDue(inner)).filter((entry) => entry.dueAt <= options.before && isListed(entry, options)).slice(0, options.limit),
  });
}

/** Sorts what was written by time of writing, then as it is told. */
function sortingDue(order: (one: DueEntry, other: DueEntry) => number): Flaw {
  return (inner) => {
    const written: string[] = [];
    return {
      persist(message, options) {
        written.push(message.key);
        return inner.persist(message, options);
      },
      async listDue({ limit, after }) {
        const due = [...(await everyDue(inner))].sort((one, other) => written.indexOf(one.key) - written.indexOf(other.key)).sort(order);
        const start = after === undefined ? 0 : due.findIndex(({ key }) => key === after.key) + 1;
        return due.slice(start, start + limit);
      },
    };
  };
}

function keepingFirstDue(inner: EventStore): Partial<EventStore> {
  const first = new Map<string, DueEntry>();
  return {
    persist(message, options) {
      const { key, source } = message;
      if (options?.dueAt !== undefined && !first.has(key)) first.set(key, { key, source, dueAt: options.dueAt });
      return inner.persist(message, options);
    },
    async listDue({ before, after }) {
      return after === undefined ? [...first.values()].filter(({ dueAt }) => dueAt <= before) : [];
    },
  };
}

function listingByLastWrite(inner: EventStore): Partial<EventStore> {
  const written: string[] = [];
  return {
    persist(message, options) {
      written.push(message.key);
      return inner.persist(message, options);
    },
    async listKeys({ limit, after }) {
      const keys = [...(await everyKey(inner))].sort((one, other) => written.lastIndexOf(one) - written.lastIndexOf(other));
      const start = after === undefined ? 0 : keys.indexOf(after) + 1;
      return keys.slice(start, start + limit);
    },
  };
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
