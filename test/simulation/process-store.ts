import type { ClaimRecord } from "../../src/claims/claim-record.ts";
import type { EventStore, StoreCallOptions, StoredMessage } from "../../src/stores/event-store.ts";
import type { CallSite } from "./call-sites.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

import { siteOfLookUp, siteOfPersist, siteOfRemove } from "./call-sites.ts";

/** What is stored of a claim right now, whoever asks. */
export type StoredClaims = (scope: string, key: string, source: string) => ClaimRecord | undefined;

export interface ProcessStoreOptions {
  readonly process: SimulatedProcess;
  readonly claims: StoredClaims;
  /** Whether the store tells its own time. */
  readonly clock: boolean;
}

/** The shared store as one process reaches it: every call takes time, and may go wrong. */
export function processStore(shared: EventStore, options: ProcessStoreOptions, scope = ""): EventStore {
  const { process, claims, clock } = options;
  const call = <Result>(
    site: CallSite,
    about: string,
    isRead: boolean,
    given: StoreCallOptions | undefined,
    effect: () => Promise<Result>,
  ) => process.call({ site, about, isRead, signal: given?.signal }, effect);
  const shown = (stored: StoredMessage): StoredMessage => (clock ? stored : withoutClock(stored));

  return {
    features: { compareAndSet: true, clock },
    persist: (message, given) => {
      const { signal, ...conditions } = given ?? {};
      const site = siteOfPersist(scope, message, claims(scope, message.key, message.source));
      return call(site, `${message.key} ${message.source} ${message.id}`, false, { signal }, () => shared.persist(message, conditions));
    },
    lookUp: (key, source, given) =>
      call(siteOfLookUp(scope, source), `${key} ${source}`, true, given, async () => {
        const stored = await shared.lookUp(key, source);
        return stored && shown(stored);
      }),
    lookUpByKey: (key, given) =>
      call("read members", key, true, given, async () => {
        const stored = await shared.lookUpByKey(key);
        return stored.map(shown);
      }),
    listSourcesByKey: (key, given) => call("list sources", key, true, given, () => shared.listSourcesByKey(key)),
    remove: (key, source, given) => {
      const { signal, ...conditions } = given ?? {};
      return call(siteOfRemove(source), `${key} ${source}`, false, { signal }, () => shared.remove(key, source, conditions));
    },
    listDue: ({ signal, ...page }) => call("list due", scope, true, { signal }, () => shared.listDue(page)),
    listKeys: (page) => shared.listKeys(page),
    scope: (name) => processStore(shared.scope(name), options, name),
    close: () => Promise.resolve(),
  };
}

function withoutClock({ storedAt: _storedAt, readAt: _readAt, ...rest }: StoredMessage): StoredMessage {
  return rest;
}
