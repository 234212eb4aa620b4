export { type DrainOptions, drainOnSignals } from "./drain-on-signals.ts";
export { pubsubMessage } from "./pubsub-message.ts";
export {
  storageFinalized,
  type StorageFinalizedOptions,
  storageObject,
  type StorageObjectData,
  type StorageObjectSchema,
} from "./storage-object.ts";
export { type CloudEventFunction, type CloudEventFunctionOptions, toCloudEventFunction } from "./to-cloud-event-function.ts";
export { type HttpFunction, type HttpFunctionOptions, toHttpFunction } from "./to-http-function.ts";
export { toTypedFunction, type TypedFunctionOptions } from "./to-typed-function.ts";
export type { TerminalFailure, TerminalOptions } from "../receive/on-terminal.ts";
export type { PubsubMessage } from "../receive/pubsub-envelope.ts";
export type { PubsubMessageOptions } from "../receive/pubsub-message.ts";
