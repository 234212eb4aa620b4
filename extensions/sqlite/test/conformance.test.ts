import { eventStoreKit, virtualClock } from "event-driver/testing";
import { test } from "vitest";
import { sqliteEventStore } from "@event-driver/sqlite";

import { holdLock } from "./hold-lock.ts";
import { temporaryFile } from "./temporary-file.ts";

const clock = virtualClock({ now: 1_000_000 });
const files = new WeakMap<object, string>();
const openOn = (file: string) => {
  const store = sqliteEventStore({ file, clock, cleanUpInterval: 1_000 });
  files.set(store, file);
  return store;
};

eventStoreKit({
  test,
  open: () => openOn(temporaryFile()),
  openAnother: (first) => openOn(files.get(first) ?? ""),
  holdUp(store) {
    const release = holdLock(files.get(store) ?? "");
    return async () => (release(), clock.advance(100));
  },
  removeExpired: async () => (await clock.advance(1_000), await clock.advance(0), await clock.advance(0)),
  features: { compareAndSet: true, clock: true },
  now: () => clock.now(),
});
