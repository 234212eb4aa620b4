export { mqttConnection } from "./mqtt-connection.ts";
export { mqttFeatures } from "./mqtt-transport.ts";
export type { MqttClientOptions, MqttConnectionOptions, MqttNative } from "./options.ts";
