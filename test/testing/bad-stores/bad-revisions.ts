import type { EventStore, StoredMessage } from "../../../src/stores/event-store.ts";

import { RevisionConflictError } from "../../../src/errors.ts";
import { type BadStore, type Flaw, oneTurn, readingAs, withFlaw } from "./bad-store.ts";

/** Stores whose revisions do not mean one write, or whose conditional writes are not decided in one step. */
export const badRevisions: readonly BadStore[] = [
  {
    flaw: "persist resolves with another revision than is read",
    caughtBy: ["the revision that persist resolves with is the one that is read"],
    open: () => withFlaw(readingAs((entry) => ({ ...entry, revision: `r${entry.revision}` }))),
  },
  {
    flaw: "ABA: a revision is the number of writes since the entry came to be",
    caughtBy: [
      "a revision is never used again, not even after the entry was removed and written anew",
      "an entry that was removed and written anew is another one to those who expect the first",
    ],
    open: () => withFlaw(labelling((_entry, before) => String(Number(before ?? 0) + 1))),
  },
  {
    flaw: "ABA: a revision is a hash of the content",
    caughtBy: [
      "a revision is never used again: equal revisions mean the same write",
      "an entry that was removed and written anew is another one to those who expect the first",
    ],
    open: () => withFlaw(labelling(({ message }) => JSON.stringify(message))),
  },
  {
    flaw: "expected is ignored",
    caughtBy: [
      'persist with expected "absent" writes only when nothing is stored',
      "persist with an expected revision writes only over exactly this revision",
      "persist with an expected revision does not write where nothing is stored",
      "a conflict leaves the entry as its last writer left it",
      'concurrent persist calls with expected "absent" have one winner; the others reject with ERR_REVISION_CONFLICT',
      "concurrent persist calls with the same expected revision have one winner; the others reject with ERR_REVISION_CONFLICT",
    ],
    open: () => withFlaw((inner) => ({ persist: (message, { expected: _ignored, ...options } = {}) => inner.persist(message, options) })),
  },
  {
    flaw: "an update of what is not there inserts it",
    caughtBy: ["persist with an expected revision does not write where nothing is stored"],
    open: () =>
      withFlaw((inner) => ({
        async persist(message, { expected, ...options } = {}) {
          const isThere = (await inner.lookUp(message.key, message.source)) !== undefined;
          return inner.persist(message, { ...options, ...(expected !== undefined && isThere && { expected }) });
        },
      })),
  },
  {
    flaw: "revisions are compared as numbers",
    caughtBy: ["a revision that was never given out matches nothing"],
    open: () =>
      withFlaw((inner) => ({
        persist: (message, { expected, ...options } = {}) =>
          inner.persist(message, {
            ...options,
            ...(expected !== undefined && { expected: expected === "absent" ? expected : String(Number(expected)) }),
          }),
      })),
  },
  {
    flaw: "revision 0 means absent",
    caughtBy: ["a revision that was never given out matches nothing"],
    open: () =>
      withFlaw((inner) => ({
        persist: (message, { expected, ...options } = {}) =>
          inner.persist(message, { ...options, ...(expected !== undefined && { expected: expected === "0" ? "absent" : expected }) }),
      })),
  },
  {
    flaw: "remove ignores expected",
    caughtBy: [
      "remove with an expected revision removes only exactly this revision",
      "a persist and a remove that expect the same revision have one winner",
    ],
    open: () => withFlaw((inner) => ({ remove: (key, source) => inner.remove(key, source) })),
  },
  {
    flaw: "a conditional remove of what is not there is a conflict",
    caughtBy: ["removing what is not there is no error, whatever was expected"],
    open: () =>
      withFlaw((inner) => ({
        async remove(key, source, { expected, ...options } = {}) {
          if (expected !== undefined && (await inner.lookUp(key, source)) === undefined)
            throw new RevisionConflictError({ key, source, expected });
          await inner.remove(key, source, { ...options, ...(expected !== undefined && { expected }) });
        },
      })),
  },
  {
    flaw: "a conflict is the database's own error",
    caughtBy: ["a conflict names the key, the source and what was expected"],
    open: () =>
      withFlaw((inner) => ({
        persist: (message, options) =>
          inner.persist(message, options).catch((cause: unknown) => {
            throw new Error("412 Precondition Failed", { cause });
          }),
      })),
  },
  {
    flaw: "a conflict names the entry by what it is called inside",
    caughtBy: ["a conflict names the key, the source and what was expected"],
    open: () =>
      withFlaw((inner) => ({
        persist: (message, options) =>
          inner.persist(message, options).catch((cause: unknown) => {
            throw new RevisionConflictError({
              key: `entries/${message.key}`,
              source: message.source,
              expected: options?.expected ?? "",
              cause,
            });
          }),
      })),
  },
  {
    flaw: "a lost conditional write has moved the entry's time already",
    caughtBy: ["a conflict leaves the entry as its last writer left it"],
    open: () =>
      withFlaw((inner) => {
        const due = new Map<string, number>();
        return {
          persist(message, options) {
            if (options?.dueAt !== undefined) due.set(`${message.key}/${message.source}`, options.dueAt);
            return inner.persist(message, options);
          },
          async lookUp(key, source) {
            const entry = await inner.lookUp(key, source);
            return entry && { ...entry, dueAt: due.get(`${key}/${source}`) ?? 0 };
          },
        };
      }),
  },
  {
    flaw: "absent is not atomic: it is looked up first",
    caughtBy: ['concurrent persist calls with expected "absent" have one winner; the others reject with ERR_REVISION_CONFLICT'],
    open: () => withFlaw(checkingFirst((expected) => expected === "absent")),
  },
  {
    flaw: "lost update: the revision is looked up first",
    caughtBy: [
      "concurrent persist calls with the same expected revision have one winner; the others reject with ERR_REVISION_CONFLICT",
      "concurrent persist calls that look up and expect what they have seen lose no update",
    ],
    open: () => withFlaw(checkingFirst((expected) => expected !== "absent")),
  },
];

/** Gives revisions of its own making, and decides by those. */
function labelling(label: (entry: StoredMessage, before: string | undefined) => string): Flaw {
  return (inner) => {
    const labels = new Map<string, string>();
    const labelled = (entry: StoredMessage): StoredMessage => ({ ...entry, revision: labels.get(entry.revision) ?? entry.revision });
    const check = async (key: string, source: string, expected: string | undefined): Promise<StoredMessage | undefined> => {
      const entry = await inner.lookUp(key, source);
      const actual = entry === undefined ? "absent" : labelled(entry).revision;
      if (expected !== undefined && expected !== actual) throw new RevisionConflictError({ key, source, expected });
      return entry;
    };

    return {
      async persist(message, { expected, ...options } = {}) {
        const before = await check(message.key, message.source, expected);
        const revision = await inner.persist(message, options);
        labels.set(revision, label({ message, revision }, before && labelled(before).revision));
        return labels.get(revision) ?? revision;
      },
      async remove(key, source, { expected } = {}) {
        await check(key, source, expected);
        await inner.remove(key, source);
      },
      ...readingAs(labelled)(inner),
    };
  };
}

function checkingFirst(appliesTo: (expected: string) => boolean): Flaw {
  return (inner: EventStore) => ({
    async persist(message, { expected, ...options } = {}) {
      if (expected === undefined || !appliesTo(expected))
        return inner.persist(message, { ...options, ...(expected !== undefined && { expected }) });
      const { key, source } = message;
      const entry = await inner.lookUp(key, source);
      if (expected !== (entry?.revision ?? "absent")) throw new RevisionConflictError({ key, source, expected });
      await oneTurn();
      return inner.persist(message, options);
    },
  });
}
