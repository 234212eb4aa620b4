import type { EventStore, PersistOptions, StoredMessage } from "../../../src/stores/event-store.ts";

import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { type BadStore, everyDue, everyKey, type Flaw, oneTurn, readingAs, withFlaw } from "./bad-store.ts";

/** Stores that write, find or remove something else than they were asked to. */
export const badEntries: readonly BadStore[] = [
  {
    flaw: "a missing entry is an error",
    caughtBy: ["lookUp of what is not there is undefined, and the lists of a key without entries are empty"],
    open: () =>
      withFlaw((inner) => ({
        async lookUp(key, source, options) {
          const entry = await inner.lookUp(key, source, options);
          if (entry === undefined) throw new Error("not found");
          return entry;
        },
      })),
  },
  {
    flaw: "a later message is merged into the earlier one",
    caughtBy: ["one entry a key and source: a later persist replaces it whole"],
    open: () =>
      withFlaw((inner) => ({
        async persist(message, options) {
          const existing = await inner.lookUp(message.key, message.source);
          return inner.persist({ ...existing?.message, ...message }, options);
        },
      })),
  },
  {
    flaw: "what was due stays due",
    caughtBy: ["one entry a key and source: a later persist replaces it whole, dueAt and expiresAt too"],
    open: () =>
      withFlaw((inner) => ({
        async persist(message, options) {
          const dueAt = options?.dueAt ?? (await inner.lookUp(message.key, message.source))?.dueAt;
          return inner.persist(message, { ...options, ...(dueAt !== undefined && { dueAt }) });
        },
      })),
  },
  {
    flaw: "one field for due and expiry",
    caughtBy: ["dueAt and expiresAt are two things, and come back as they were given"],
    open: () =>
      withFlaw(persistingWith(({ dueAt, ...options }) => (dueAt === undefined ? options : { ...options, dueAt, expiresAt: dueAt }))),
  },
  {
    flaw: "times are rounded",
    caughtBy: ["dueAt and expiresAt are two things, and come back as they were given"],
    open: () => withFlaw(readingAs((entry) => (entry.dueAt === undefined ? entry : { ...entry, dueAt: Math.round(entry.dueAt) }))),
  },
  {
    flaw: "the list of a key leaves out when its entries are due",
    caughtBy: ["lookUpByKey gives all that lookUp gives, for every source of the key"],
    open: () =>
      withFlaw((inner) => ({
        lookUpByKey: async (key) => (await inner.lookUpByKey(key)).map(({ dueAt: _lost, ...entry }): StoredMessage => entry),
      })),
  },
  {
    flaw: "stale read: the second look finds what the first one found",
    caughtBy: [
      "a read or list that begins after a persist has resolved sees it",
      "a read or list that begins after a remove has resolved sees it",
    ],
    open: () => withFlaw((inner) => ({ lookUp: onceStale((key, source) => inner.lookUp(key, source)) })),
  },
  {
    flaw: "stale list: sources that were written a moment ago are missing",
    caughtBy: [
      "a read or list that begins after a persist has resolved sees it",
      "a read or list that begins after a remove has resolved sees it",
    ],
    open: () => withFlaw((inner) => ({ listSourcesByKey: onceStale((key) => inner.listSourcesByKey(key)) })),
  },
  {
    flaw: "stale list of keys",
    caughtBy: ["a read or list that begins after a remove has resolved sees it"],
    open: () => withFlaw((inner) => ({ listKeys: onceStale((options) => inner.listKeys(options)) })),
  },
  {
    flaw: "remove takes the whole key",
    caughtBy: ["remove takes one entry and leaves the others of its key and of its source"],
    open: () =>
      withFlaw((inner) => ({
        async remove(key) {
          for (const source of await inner.listSourcesByKey(key)) await inner.remove(key, source);
        },
      })),
  },
  {
    flaw: "removing what is not there is an error",
    caughtBy: ["removing what is not there is no error"],
    open: () =>
      withFlaw((inner) => ({
        async remove(key, source, options) {
          if ((await inner.lookUp(key, source)) === undefined) throw new Error("not found");
          await inner.remove(key, source, options);
        },
      })),
  },
  {
    flaw: "a write is done in two parts",
    caughtBy: ["concurrent persist calls without expected all succeed, and leave one of them whole"],
    open: () =>
      withFlaw((inner) => ({
        async persist(message, { dueAt, ...options } = {}) {
          const revision = await inner.persist(message, options);
          if (dueAt === undefined) return revision;
          await oneTurn();
          if (dueAt % 2 === 0) await oneTurn();
          const now = await inner.lookUp(message.key, message.source);
          return inner.persist(now?.message ?? message, { dueAt });
        },
      })),
  },
  {
    flaw: "expiry treated as removal: an entry past its time is hidden, and still in the way",
    caughtBy: ["an entry past its expiresAt is there, and counts as present, until it is removed"],
    open: () =>
      withFlaw((inner) => ({
        async lookUp(key, source) {
          const entry = await inner.lookUp(key, source);
          return entry?.expiresAt !== undefined && entry.expiresAt < Date.now() ? undefined : entry;
        },
      })),
  },
  {
    flaw: "expiry treated as removal: the lists hide an entry that lookUp finds",
    caughtBy: ["an entry past its expiresAt is there, and counts as present, until it is removed"],
    open: () =>
      withFlaw((inner) => ({
        lookUpByKey: async (key) => (await inner.lookUpByKey(key)).filter(({ expiresAt = Infinity }) => expiresAt > Date.now()),
      })),
  },
  {
    flaw: "an entry past its time cannot be written over",
    caughtBy: ["an entry past its expiresAt can be written over and removed until it is removed"],
    open: () =>
      withFlaw(
        persistingWith(({ expiresAt = Infinity, expected, ...options }) => ({
          ...options,
          expiresAt,
          ...(expected !== undefined && { expected: "gone" }),
        })),
      ),
  },
  {
    flaw: "expiry is read as seconds",
    caughtBy: ["an entry is there as long as its expiresAt has not come"],
    open: () =>
      withFlaw(
        persistingWith(({ expiresAt, ...options }) => (expiresAt === undefined ? options : { ...options, expiresAt: expiresAt / 1_000 })),
      ),
  },
  {
    flaw: "an expiry that was replaced removes all the same",
    caughtBy: ["an expiresAt that a later persist has replaced removes nothing"],
    open: () => withFlaw(rememberingExpiry),
  },
  {
    flaw: "expiry ignored: nothing is ever removed",
    caughtBy: ["the store removes entries past their expiresAt, and no others"],
    open: () => withFlaw(() => ({}), memoryEventStore({ clock: { now: () => 0, after: () => () => undefined } })),
    hooks: { removeExpired: () => undefined },
  },
  {
    flaw: "removal forgets which revisions were used",
    caughtBy: ["a revision is never used again, not even after the entry has expired and was written anew"],
    open: () => withFlaw((inner) => ({ persist: async (message, options) => (await inner.persist(message, options)) && "1" })),
    hooks: { removeExpired: () => undefined },
  },
  {
    flaw: "dueAt removes",
    caughtBy: ["listDue never removes an entry, and dueAt does not either"],
    open: () =>
      withFlaw((inner) => ({
        async listDue(options) {
          const due = await inner.listDue(options);
          for (const { key, source } of due) await inner.remove(key, source);
          return due;
        },
      })),
  },
  {
    flaw: "the store's own removal takes what is due",
    caughtBy: ["listDue never removes an entry, and dueAt does not either"],
    open: () => withFlaw(() => ({})),
    hooks: {
      async removeExpired(store) {
        for (const { key, source } of await everyDue(store)) await store.remove(key, source);
      },
    },
  },
  {
    flaw: "a random call is lost now and then",
    caughtBy: ["a random sequence of calls answers as one plain map would"],
    open: () => withFlaw(losingTheTenthRemove),
  },
];

function persistingWith(change: (options: PersistOptions) => PersistOptions): Flaw {
  return (inner) => ({ persist: (message, options = {}) => inner.persist(message, change(options)) });
}

/** Answers with what it has found the time before. */
function onceStale<Args extends unknown[], Result>(read: (...args: Args) => Promise<Result>): (...args: Args) => Promise<Result> {
  const seen = new Map<string, Result>();
  return async (...args) => {
    const name = JSON.stringify(args);
    const found = await read(...args);
    const before = seen.get(name) ?? found;
    seen.set(name, found);
    return before;
  };
}

function rememberingExpiry(inner: EventStore): Partial<EventStore> {
  const expiring: [key: string, source: string][] = [];
  return {
    async persist(message, options) {
      const revision = await inner.persist(message, options);
      if (message.key === "another") for (const [key, source] of expiring.splice(0)) await inner.remove(key, source);
      else if (options?.expiresAt !== undefined && options.expiresAt < Date.now()) expiring.push([message.key, message.source]);
      return revision;
    },
  };
}

function losingTheTenthRemove(inner: EventStore): Partial<EventStore> {
  let removals = 0;
  return {
    async remove(key, source, options) {
      removals += 1;
      if (removals % 10 !== 0 || (await everyKey(inner)).length === 0) await inner.remove(key, source, options);
    },
  };
}
