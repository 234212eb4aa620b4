export type { PulsarConnectionOptions, PulsarNative, PulsarClientOptions } from "./options.ts";
export { pulsarConnection, pulsarFeatures } from "./pulsar-connection.ts";
