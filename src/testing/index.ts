export { connectionKit, type ConnectionKitOptions, type Outage } from "./connection-kit.ts";
export { eventStoreKit, type EventStoreKitOptions } from "./event-store-kit.ts";
export { type Fault, faultyEventStore, type FaultyEventStore, type FaultyEventStoreOptions, type StoreCall } from "./faulty-event-store.ts";
export { type VirtualClock, virtualClock, type VirtualClockOptions } from "./virtual-clock.ts";
