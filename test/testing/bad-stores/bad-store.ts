import type { EventStoreKitOptions } from "event-driver/testing";

import { setImmediate } from "node:timers";

import type { DueEntry, EventStore, StoredMessage } from "../../../src/stores/event-store.ts";

import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";

/** A store with one mistake, and the tests of the kit that must fail because of it. */
export interface BadStore {
  readonly flaw: string;
  readonly caughtBy: readonly string[];
  readonly open: () => EventStore;
  readonly hooks?: KitHooks;
}

export type KitHooks = Pick<EventStoreKitOptions, "openAnother" | "holdUp" | "removeExpired">;

/** The members that a mistake replaces, given the good store behind it. */
export type Flaw = (inner: EventStore) => Partial<EventStore>;

/** A good store but for the flaw, which its scopes have too. */
export function withFlaw(flaw: Flaw, inner: EventStore = memoryEventStore()): EventStore {
  return {
    features: inner.features,
    persist: (message, options) => inner.persist(message, options),
    lookUp: (key, source, options) => inner.lookUp(key, source, options),
    lookUpByKey: (key, options) => inner.lookUpByKey(key, options),
    listSourcesByKey: (key, options) => inner.listSourcesByKey(key, options),
    remove: (key, source, options) => inner.remove(key, source, options),
    listDue: (options) => inner.listDue(options),
    listKeys: (options) => inner.listKeys(options),
    scope: (name) => withFlaw(flaw, inner.scope(name)),
    close: () => inner.close(),
    ...flaw(inner),
  };
}

/** A store that changes what it gives out. */
export function readingAs(change: (entry: StoredMessage) => StoredMessage): Flaw {
  return (inner) => ({
    async lookUp(key, source, options) {
      const entry = await inner.lookUp(key, source, options);
      return entry && change(entry);
    },
    lookUpByKey: async (key, options) => (await inner.lookUpByKey(key, options)).map(change),
  });
}

export async function everyKey(store: EventStore): Promise<readonly string[]> {
  return store.listKeys({ limit: 100_000 });
}

export async function everyDue(store: EventStore): Promise<readonly DueEntry[]> {
  return store.listDue({ before: Infinity, limit: 100_000 });
}

/** Lets other calls go first. */
export function oneTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
