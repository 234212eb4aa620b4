export type { NatsServerOptions } from "./endpoints.ts";
export { natsConnection } from "./nats-connection.ts";
export { natsFeatures } from "./nats-transport.ts";
export type { NatsConnectionOptions, NatsNative, NatsPlace, NatsStreamOptions } from "./options.ts";
