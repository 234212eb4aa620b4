export { type KafkaConnection, kafkaConnection, kafkaFeatures } from "./kafka-connection.ts";
export { groupOfName, topicOfStream } from "./names.ts";
export type {
  KafkaClientOptions,
  KafkaConnectionOptions,
  KafkaFetchOptions,
  KafkaGroupOptions,
  KafkaNative,
  KafkaRetryTopics,
  KafkaTopicOptions,
} from "./options.ts";
export { type KafkaTransaction, transactionOf } from "./transactions.ts";
