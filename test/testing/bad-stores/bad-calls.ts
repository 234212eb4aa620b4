import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { type BadStore, readingAs, withFlaw } from "./bad-store.ts";
import { handle, type HandleFlaws, handlesOf } from "./handles.ts";

const operations = ["persist", "lookUp", "lookUpByKey", "listSourcesByKey", "remove", "listDue", "listKeys"];

/** Stores that do not end their calls, or themselves, as they must. */
export const badCalls: readonly BadStore[] = [
  badHandle("swallowed abort", { ignoresAbort: true }, [
    ...operations.map((operation) => `a call with a signal that has aborted rejects with signal.reason: ${operation}`),
    "a write that waits rejects with signal.reason as soon as that aborts",
  ]),
  badHandle("an abort rejects with an error of the store's own", { abortsWithAnotherError: true }, [
    "a call that is aborted on its way rejects with signal.reason, or was done already",
  ]),
  badHandle("an abort undoes what was done before it", { undoesWhenAbortedLater: true }, [
    "a signal that does not abort, or only when the call is done, changes nothing",
  ]),
  badHandle("a second close is an error", { closesOnlyOnce: true }, ["close is idempotent"]),
  badHandle("close drops in-flight work", { closeDropsWaiting: true, closeWaitsForNothing: true }, [
    "close waits for what is in flight",
    "close waits for what is in flight: a write that has to wait",
    "close waits for what is in flight, and another handle finds it",
  ]),
  badHandle("close waits for nothing", { closeWaitsForNothing: true }, ["close waits for what is in flight: a write that has to wait"]),
  badHandle(
    "use after close is accepted",
    { worksAfterClose: true },
    operations.map((operation) => `calls after close reject with ERR_STORE_CLOSED: ${operation}`),
  ),
  badHandle("a scope outlives its store", { scopesWorkAfterClose: true }, ["calls after close reject with ERR_STORE_CLOSED: persist"]),
  badHandle("closing a scope closes the store", { scopeCloseCloses: true }, ["closing a scope closes nothing"]),
  badHandle("closing one handle closes them all", { closeClosesOthers: true }, [
    "close closes only what the adapter itself opened: another handle goes on",
  ]),
  {
    flaw: "features are declared that the store has not",
    caughtBy: ["features are those that the store is tested for"],
    open: () => withFlaw(() => ({ features: { compareAndSet: false, clock: true } })),
  },
  {
    flaw: "storedAt is the time of reading",
    caughtBy: ["storedAt and readAt are given with every entry, all from one clock"],
    open: () =>
      withFlaw(
        readingAs(({ readAt = 0, ...entry }) => ({ ...entry, storedAt: readAt, readAt })),
        memoryEventStore({ clock: ticking() }),
      ),
  },
  {
    flaw: "storedAt is the time of the first write, so a renewed lease ends too early",
    caughtBy: ["storedAt and readAt are given with every entry, all from one clock"],
    open() {
      const first = new Map<string, number>();
      const keepingFirst = readingAs(({ storedAt = 0, ...entry }) => {
        const { key } = entry.message;
        first.set(key, first.get(key) ?? storedAt);
        return { ...entry, storedAt: first.get(key) ?? storedAt };
      });
      return withFlaw(keepingFirst, memoryEventStore({ clock: ticking() }));
    },
  },
  {
    flaw: "an entry tells not when it was read",
    caughtBy: ["storedAt and readAt are given with every entry, all from one clock"],
    open: () => withFlaw(readingAs(({ readAt: _lost, ...entry }) => entry)),
  },
];

function badHandle(flaw: string, flaws: HandleFlaws, caughtBy: readonly string[]): BadStore {
  return { flaw, caughtBy, ...handlesOf((data) => handle(data, flaws)) };
}

function ticking(): { now: () => number; after: () => () => void } {
  let ticks = 0;
  return { now: () => (ticks += 1), after: () => () => undefined };
}
