import { eventStoreKit } from "event-driver/testing";
import { test } from "vitest";

import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

eventStoreKit({
  test,
  open: memoryEventStore,
  features: { compareAndSet: true, clock: true },
  // The kit has written enough by then: every write removes what has expired.
  removeExpired: () => undefined,
});
