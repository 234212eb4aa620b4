export type { RabbitmqConnectionOptions } from "./options.ts";
export { rabbitmqConnection } from "./rabbitmq-connection.ts";
export { rabbitmqFeatures } from "./rabbitmq-transport.ts";
export type { RabbitmqNative } from "./topology.ts";
