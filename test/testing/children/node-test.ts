import { eventStoreKit } from "event-driver/testing";
import { test } from "node:test";

import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";

eventStoreKit({ test, open: memoryEventStore, features: { compareAndSet: true, clock: true } });
