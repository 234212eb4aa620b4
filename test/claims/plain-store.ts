import type { EventStore } from "../../src/stores/event-store.ts";

import { interceptedStore } from "./intercepted-store.ts";

/** A store that cannot compare and set, and fails whoever asks it to. */
export function withoutCompareAndSet(store: EventStore): EventStore {
  return {
    ...interceptedStore(store, (_call, run) => run()),
    features: { compareAndSet: false, clock: true },
    persist(message, options = {}) {
      if (options.expected !== undefined) throw new Error("it was asked to compare and set");
      return store.persist(message, options);
    },
    scope: (name) => withoutCompareAndSet(store.scope(name)),
  };
}
