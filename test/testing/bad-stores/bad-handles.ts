import type { EventStore, Revision } from "../../../src/stores/event-store.ts";

import { RevisionConflictError } from "../../../src/errors.ts";
import { type BadStore, oneTurn, withFlaw } from "./bad-store.ts";
import { handle, handlesOf, type SharedData } from "./handles.ts";

const noLostUpdate = "concurrent persist calls that look up and expect what they have seen lose no update, from any handle";

/** Stores that are right as long as nobody else works on the same data. */
export const badHandles: readonly BadStore[] = [
  {
    flaw: "what a handle has read it reads no more",
    caughtBy: ["a read or list that begins after a persist or remove has resolved sees it, from any handle"],
    ...handlesOf((data) => caching(handle(data))),
  },
  {
    flaw: "expected is decided in each handle",
    caughtBy: ["concurrent persist calls with the same expected have one winner, from any handle", noLostUpdate],
    ...handlesOf(lockingAlone),
  },
  {
    flaw: "each handle counts its own revisions",
    caughtBy: ["a revision is never used again, whichever handle writes"],
    ...handlesOf((data) => countingAlone(handle(data))),
  },
  {
    flaw: "a handle takes what it has seen last for what is stored",
    caughtBy: ["an entry that one handle has replaced or removed is no longer what another has seen"],
    ...handlesOf((data) => trustingItself(handle(data))),
  },
];

function caching(inner: EventStore): EventStore {
  const read = new Map<string, readonly string[]>();
  return withFlaw(
    () => ({
      async listSourcesByKey(key) {
        const sources = read.get(key) ?? (await inner.listSourcesByKey(key));
        read.set(key, sources);
        return sources;
      },
    }),
    inner,
  );
}

/** One conditional write after the other, with a mutex that only this handle has. */
function lockingAlone(data: SharedData): EventStore {
  const inner = handle(data);
  let last: Promise<unknown> = Promise.resolve();
  return withFlaw(
    () => ({
      persist(message, { expected, ...options } = {}) {
        const { key, source } = message;
        const write = async (): Promise<Revision> => {
          const entry = await inner.lookUp(key, source);
          if (expected !== undefined && expected !== (entry?.revision ?? "absent"))
            throw new RevisionConflictError({ key, source, expected });
          await oneTurn();
          return inner.persist(message, options);
        };
        const written = last.then(write);
        last = written.catch(() => undefined);
        return written;
      },
    }),
    inner,
  );
}

function countingAlone(inner: EventStore): EventStore {
  let writes = 0;
  return withFlaw(
    () => ({
      async persist(message, options) {
        await inner.persist(message, options);
        writes += 1;
        return String(writes);
      },
    }),
    inner,
  );
}

function trustingItself(inner: EventStore): EventStore {
  const seen = new Map<string, Revision>();
  return withFlaw(
    () => ({
      async persist(message, { expected, ...options } = {}) {
        const name = JSON.stringify([message.key, message.source]);
        const isAsSeen = expected === undefined || expected === seen.get(name);
        const revision = await inner.persist(message, isAsSeen ? options : { ...options, expected });
        seen.set(name, revision);
        return revision;
      },
    }),
    inner,
  );
}
