import type { EventStore, StoreCallOptions } from "../../../src/stores/event-store.ts";
import type { KitHooks } from "./bad-store.ts";

import { EventDriverError } from "../../../src/errors.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { oneTurn } from "./bad-store.ts";

/** What the handles of one store have in common. */
export interface SharedData {
  readonly store: EventStore;
  /** Settles when a write may go on. */
  lock: Promise<void>;
}

/** What a handle does wrong; nothing, where it is not said. */
export interface HandleFlaws {
  readonly ignoresAbort?: boolean;
  readonly abortsWithAnotherError?: boolean;
  readonly undoesWhenAbortedLater?: boolean;
  readonly closeWaitsForNothing?: boolean;
  readonly closeDropsWaiting?: boolean;
  readonly closeClosesOthers?: boolean;
  readonly closesOnlyOnce?: boolean;
  readonly worksAfterClose?: boolean;
  readonly scopesWorkAfterClose?: boolean;
  readonly scopeCloseCloses?: boolean;
}

/** Opens stores that several handles can share, whose calls take their time, as those over a network do. */
export function handlesOf(wrap: (data: SharedData) => EventStore): { readonly open: () => EventStore; readonly hooks: Required<KitHooks> } {
  const dataOf = new WeakMap<EventStore, SharedData>();
  const openOn = (data: SharedData): EventStore => {
    const store = wrap(data);
    dataOf.set(store, data);
    return store;
  };
  const sharedBy = (store: EventStore): SharedData => {
    const data = dataOf.get(store);
    if (data === undefined) throw new Error("no handle of this store was opened here");
    return data;
  };

  return {
    open: () => openOn({ store: memoryEventStore(), lock: Promise.resolve() }),
    hooks: {
      openAnother: (first) => openOn(sharedBy(first)),
      holdUp(store) {
        const held = Promise.withResolvers<void>();
        sharedBy(store).lock = held.promise;
        return held.resolve;
      },
      removeExpired: () => undefined,
    },
  };
}

/** A handle as it must be, but for its flaws. */
export function handle(data: SharedData, flaws: HandleFlaws = {}): EventStore {
  const inFlight = new Set<Promise<unknown>>();
  let closed = false;

  const run = async <Result>(options: StoreCallOptions | undefined, isScope: boolean, perform: () => Promise<Result>): Promise<Result> => {
    if (closed && !flaws.worksAfterClose && !(isScope && flaws.scopesWorkAfterClose)) throw storeClosed();
    const running = whenFree(data, options?.signal, flaws).then(() => {
      if (closed && flaws.closeDropsWaiting) throw storeClosed();
      return perform();
    });
    inFlight.add(running);
    return running.finally(() => inFlight.delete(running));
  };

  const wrap = (inner: EventStore, isScope: boolean): EventStore => ({
    features: inner.features,
    persist: (message, { signal, ...options } = {}) =>
      run({ signal }, isScope, async () => {
        if (flaws.undoesWhenAbortedLater) signal?.addEventListener("abort", () => void inner.remove(message.key, message.source));
        return inner.persist(message, options);
      }),
    lookUp: (key, source, options) => run(options, isScope, () => inner.lookUp(key, source)),
    lookUpByKey: (key, options) => run(options, isScope, () => inner.lookUpByKey(key)),
    listSourcesByKey: (key, options) => run(options, isScope, () => inner.listSourcesByKey(key)),
    remove: (key, source, { signal, ...options } = {}) => run({ signal }, isScope, () => inner.remove(key, source, options)),
    listDue: ({ signal, ...options }) => run({ signal }, isScope, () => inner.listDue(options)),
    listKeys: ({ signal, ...options }) => run({ signal }, isScope, () => inner.listKeys(options)),
    scope: (name) => wrap(inner.scope(name), true),
    async close() {
      if (isScope && !flaws.scopeCloseCloses) return;
      if (closed && flaws.closesOnlyOnce) throw storeClosed();
      closed = true;
      if (!flaws.closeWaitsForNothing) await Promise.allSettled(inFlight);
      if (flaws.closeClosesOthers) await data.store.close();
    },
  });
  return wrap(data.store, false);
}

async function whenFree({ lock }: SharedData, signal: AbortSignal | undefined, flaws: HandleFlaws): Promise<void> {
  if (signal === undefined || flaws.ignoresAbort) return lock.then(oneTurn);
  const aborted = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => reject(flaws.abortsWithAnotherError ? new Error("this operation was aborted") : signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
  await Promise.race([aborted, lock.then(oneTurn)]);
}

function storeClosed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", { message: "this handle was closed; open another one", retryable: true });
}
