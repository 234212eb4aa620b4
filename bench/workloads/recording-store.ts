import { type EventStore, memoryEventStore } from "event-driver";

/** One write of a pipeline, as a row of the SQLite store's table. */
export type Row = readonly [
  scope: string,
  key: string,
  source: string,
  revision: number,
  storedAt: number,
  dueAt: number | null,
  expiresAt: number | null,
  header: string,
  contentIsText: number,
  content: string | Uint8Array,
];

/** A memory store that hands every write to `onWrite`, so that someone else can do the very same ones. */
export function recordingStore(onWrite: (row: Row) => void): EventStore {
  let writes = 0;

  const recorded = (store: EventStore, path: readonly string[]): EventStore => ({
    features: store.features,
    persist(message, options = {}) {
      const { key, source, content, id, origin, type, time, attributes } = message;
      const { dueAt = null, expiresAt = null } = options;
      const header = JSON.stringify({ id, origin, type, time, attributes });
      writes += 1;
      const isText = typeof content === "string" ? 1 : 0;
      onWrite([JSON.stringify(path), key, source, writes, Date.now(), dueAt, expiresAt, header, isText, content]);
      return store.persist(message, options);
    },
    lookUp: (key, source, options) => store.lookUp(key, source, options),
    lookUpByKey: (key, options) => store.lookUpByKey(key, options),
    listSourcesByKey: (key, options) => store.listSourcesByKey(key, options),
    remove() {
      throw new Error("a removal was not foreseen: add it to the rows that the other side writes");
    },
    listDue: (options) => store.listDue(options),
    listKeys: (options) => store.listKeys(options),
    scope: (name) => recorded(store.scope(name), [...path, name]),
    close: () => store.close(),
  });

  return recorded(memoryEventStore(), []);
}
