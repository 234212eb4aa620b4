export { eventStoreKit, type EventStoreKitOptions } from "./event-store-kit.ts";
export { type VirtualClock, virtualClock, type VirtualClockOptions } from "./virtual-clock.ts";
