import type { Message } from "../../src/message.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

/** One call on a store, as whoever intercepts it sees it. */
export interface StoreCall {
  readonly operation: "persist" | "lookUp" | "lookUpByKey" | "listSourcesByKey" | "remove" | "listDue" | "listKeys";
  readonly key?: string;
  readonly source?: string;
  /** What a `persist` writes. */
  readonly message?: Message;
}

export type Around = <Result>(call: StoreCall, run: () => Promise<Result>) => Promise<Result>;

/** The same store under another object, so that handlers of another process can be played on it; every call goes through `around`. */
export function interceptedStore(store: EventStore, around: Around): EventStore {
  return {
    features: store.features,
    persist: (message, options) =>
      around({ operation: "persist", key: message.key, source: message.source, message }, () => store.persist(message, options)),
    lookUp: (key, source, options) => around({ operation: "lookUp", key, source }, () => store.lookUp(key, source, options)),
    lookUpByKey: (key, options) => around({ operation: "lookUpByKey", key }, () => store.lookUpByKey(key, options)),
    listSourcesByKey: (key, options) => around({ operation: "listSourcesByKey", key }, () => store.listSourcesByKey(key, options)),
    remove: (key, source, options) => around({ operation: "remove", key, source }, () => store.remove(key, source, options)),
    listDue: (options) => around({ operation: "listDue" }, () => store.listDue(options)),
    listKeys: (options) => around({ operation: "listKeys" }, () => store.listKeys(options)),
    scope: (name) => interceptedStore(store.scope(name), around),
    close: () => store.close(),
  };
}
