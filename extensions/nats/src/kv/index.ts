export { natsKvEventStore, type NatsKvEventStoreOptions } from "./nats-kv-event-store.ts";
