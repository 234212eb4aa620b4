export type { Compressor, CompressorOption } from "./compressor.ts";
export { gcsEventStoreFromUrl, type GcsOtherOptions } from "./event-store-from-url.ts";
export { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions, type GcsRetryOptions } from "./gcs-event-store.ts";
export type { GcsObject, ReadPolicy as GcsReadPolicy } from "./read-policy.ts";
export type { Timeouts as GcsTimeouts } from "./requests.ts";
