export type { PulsarConnectionOptions, PulsarNative, PulsarSocketOptions } from "./options.ts";
export { pulsarConnection, pulsarFeatures } from "./pulsar-connection.ts";
