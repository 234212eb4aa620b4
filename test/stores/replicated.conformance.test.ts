import { test } from "vitest";

import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { replicated } from "../../src/stores/replicated.ts";
import { eventStoreKit } from "../../src/testing/event-store-kit.ts";

eventStoreKit({
  test,
  open: () => replicated(memoryEventStore(), memoryEventStore(), memoryEventStore()),
  features: { compareAndSet: true, clock: true },
  // The kit has written enough by then: every write removes what has expired.
  removeExpired: () => undefined,
});
