import type { Message } from "../../src/message.ts";
import type { EventStore, PersistOptions } from "../../src/stores/event-store.ts";

/** Is told of every write that has landed, in the order in which they did. */
export interface Watcher {
  persisted(scope: string, message: Message, options: PersistOptions): void;
  removed(scope: string, key: string, source: string): void;
}

/** The shared store, with everything that is written seen. */
export function watchedStore(inner: EventStore, watcher: Watcher, scope = ""): EventStore {
  return {
    features: inner.features,
    async persist(message, options = {}) {
      const revision = await inner.persist(message, options);
      watcher.persisted(scope, message, options);
      return revision;
    },
    async remove(key, source, options) {
      await inner.remove(key, source, options);
      watcher.removed(scope, key, source);
    },
    lookUp: (key, source, options) => inner.lookUp(key, source, options),
    lookUpByKey: (key, options) => inner.lookUpByKey(key, options),
    listSourcesByKey: (key, options) => inner.listSourcesByKey(key, options),
    listDue: (options) => inner.listDue(options),
    listKeys: (options) => inner.listKeys(options),
    scope: (name) => watchedStore(inner.scope(name), watcher, name),
    close: () => inner.close(),
  };
}
