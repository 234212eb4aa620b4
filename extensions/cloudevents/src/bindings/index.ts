export { amqpBinding } from "./amqp.ts";
export type {
  Binding,
  BindingOptions,
  EventRecord,
  ForeignRecords,
  HeaderValue,
  ReadRecord,
  RecordPlace,
  WrittenRecord,
} from "./binding.ts";
export { HeaderLines } from "./header-lines.ts";
export { kafkaBinding } from "./kafka.ts";
export { mqttBinding } from "./mqtt.ts";
export { natsBinding } from "./nats.ts";
export { pulsarBinding } from "./pulsar.ts";
