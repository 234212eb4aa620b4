import type { EventStore, StoreCallOptions } from "../../stores/event-store.ts";

import { sample } from "./kit-test.ts";

/** Each operation of the port that takes a signal, by its name. */
export const everyCall: Readonly<Record<string, (store: EventStore, options?: StoreCallOptions) => Promise<unknown>>> = {
  persist: (store, options) => store.persist(sample("order-1", "event1"), options),
  lookUp: (store, options) => store.lookUp("order-1", "event1", options),
  lookUpByKey: (store, options) => store.lookUpByKey("order-1", options),
  listSourcesByKey: (store, options) => store.listSourcesByKey("order-1", options),
  remove: (store, options) => store.remove("order-1", "event1", options),
  listDue: (store, options) => store.listDue({ before: 0, limit: 1, ...options }),
  listKeys: (store, options) => store.listKeys({ limit: 1, ...options }),
};
