export type { PulsarConnectionOptions, PulsarNative } from "./options.ts";
export { pulsarConnection, pulsarFeatures } from "./pulsar-connection.ts";
