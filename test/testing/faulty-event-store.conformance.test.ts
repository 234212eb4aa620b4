import { eventStoreKit, faultyEventStore } from "event-driver/testing";
import { test } from "vitest";

import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

eventStoreKit({
  test,
  open: () => faultyEventStore(memoryEventStore(), { decide: () => undefined }),
  features: { compareAndSet: true, clock: true },
});
