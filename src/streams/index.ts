export type {
  BackfillStart,
  CloseOptions,
  Connection,
  ConnectionEvents,
  ConnectionFeatures,
  ConnectionState,
  ConnectionStatus,
  PublishOptions,
  PublishSettlement,
  PullDelivery,
  PullSubscription,
  Subscription,
  Target,
} from "./connection.ts";
export { type ConnectionOptions, createConnection } from "./create-connection.ts";
export { type Delivery, deliveryOf } from "./delivery.ts";
export { LinkedList, type Listed } from "./linked-list.ts";
export { type MemoryBroker, memoryBroker, type MemoryBrokerOptions } from "./memory/memory-broker.ts";
export { memoryConnection, type MemoryConnectionOptions } from "./memory/memory-connection.ts";
export { partitionOf } from "./partitions/partition-of.ts";
export {
  type HeldPartition,
  type PartitionShare,
  partitionShare,
  type PartitionShareOptions,
  type Standing,
} from "./partitions/partition-share.ts";
export type { Propagated } from "./propagation.ts";
export type { Backfill, DeadLetterStream, PullOptions, RetryDelays, SubscribeOptions } from "./subscribe-options.ts";
export type {
  Handover,
  Inbound,
  Sink,
  SubscribeRequest,
  Transport,
  TransportEvents,
  TransportListener,
  TransportPublishOptions,
  TransportSubscription,
} from "./transport.ts";
export { untrustedServer } from "./untrusted-server.ts";
