import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { BaseOptions, CompressionAlgorithmValue } from "@platformatic/kafka";
import type { ConnectionOptions } from "event-driver/streams";

import { type Clock, invalidOption, type Logger, silentLogger, systemClock } from "event-driver";

import { addressOf } from "./address.ts";
import { groupOfName, topicOfStream } from "./names.ts";

/** What is given to the client as it is: TLS, credentials, timeouts of single requests. */
export type KafkaClientOptions = Partial<
  Omit<BaseOptions, "bootstrapBrokers" | "retries" | "retryDelay" | "autocreateTopics" | "connectTimeout" | "maxInflights" | "strict">
>;

export interface KafkaConnectionOptions extends ConnectionOptions, BindingOptions {
  /**
   * Some brokers of the cluster: `kafka://host:9092` or `host:9092`, `kafkas://user:password@host:9094` for TLS and a user. User, password and `?mechanism=`, which is
   * `SCRAM-SHA-512` unless it is said, are those of the first one, and escaped as in any URL.
   */
  readonly url: string | readonly string[];
  /**
   * What is given to the client as it is, for example `{ clientId: "shop", tls: {}, sasl: { mechanism: "SCRAM-SHA-512", username, password } }`.
   * @default { clientId: "event-driver" }
   */
  readonly clientOptions?: KafkaClientOptions;
  /**
   * How many milliseconds a broker has to answer before the connection counts as failed.
   * @default 10_000
   */
  readonly connectTimeout?: number;
  /**
   * Whether topics that are missing are made, or are an error.
   * @default "create"
   */
  readonly topology?: "create" | "check";
  /** How topics are made. One that is there is left as it is. */
  readonly topic?: KafkaTopicOptions;
  /**
   * The topic of a stream. Give `(stream) => stream` where all your streams have names that Kafka allows.
   * @default topicOfStream
   */
  readonly topicOf?: (stream: string) => string;
  /**
   * The consumer group of a name. It must not be that of another stream.
   * @default groupOfName
   */
  readonly groupOf?: (stream: string, name: string) => string;
  /**
   * Lets messages that failed wait in retry topics, so that `order: "none"` waits at the broker. `features.delay` is true then.
   * @default false, and they wait in memory
   */
  readonly retryTopics?: KafkaRetryTopics | false;
  /** How subscriptions share partitions. */
  readonly group?: KafkaGroupOptions;
  /** How records are fetched. */
  readonly fetch?: KafkaFetchOptions;
  /**
   * How many bytes of messages go into one request, at most. It must be less than `max.message.bytes` of the topics.
   * @default 900_000
   */
  readonly batchBytes?: number;
  /** @default "none" */
  readonly compression?: CompressionAlgorithmValue;
}

export interface KafkaTopicOptions {
  /**
   * As many processes of one name can share the work.
   * @default 6
   */
  readonly partitions?: number;
  /** @default what the broker has as its own default */
  readonly replicas?: number;
  /**
   * Settings of the topic by their names.
   * @default { "max.message.bytes": "8388608" }
   */
  readonly configs?: Readonly<Record<string, string>>;
}

export interface KafkaRetryTopics {
  /**
   * How many there are for each name. The first failure goes to the first one, and so on; all further ones go to the last.
   * @default 3
   */
  readonly count?: number;
  /**
   * The stream that holds the n-th retry of a name, counted from 1.
   * @default `${stream}.retry.${n}`, and with `.${name}` behind the stream where the name is another
   */
  readonly streamOf?: (retry: { readonly stream: string; readonly name: string; readonly n: number }) => string;
}

export interface KafkaGroupOptions {
  /**
   * Milliseconds after which a member that is not heard of loses its partitions. The broker allows 6_000 at least, unless it is told otherwise.
   * @default 45_000
   */
  readonly sessionTimeout?: number;
  /**
   * Milliseconds between two signs of life. A rebalance takes about this long.
   * @default 1_000
   */
  readonly heartbeatInterval?: number;
  /**
   * How many milliseconds handlers may finish after their partition was asked for by another member, before their signal aborts. Less than half of
   * `sessionTimeout`.
   * @default 5_000
   */
  readonly revokeGrace?: number;
  /**
   * Milliseconds between two commits of what is done, while there is any. As much is done again when a process dies.
   * @default 1_000
   */
  readonly commitInterval?: number;
}

export interface KafkaFetchOptions {
  /**
   * How many bytes of one partition are fetched at once, and about as many are held in memory.
   * @default 1_048_576
   */
  readonly partitionBytes?: number;
  /**
   * How many milliseconds the broker waits for a message before it answers that there is none.
   * @default 500
   */
  readonly maxWait?: number;
  /**
   * Whether messages of transactions are seen before these are committed, and of those that are not.
   * @default "committed"
   */
  readonly isolation?: "committed" | "uncommitted";
}

/** What only Kafka has, for one subscription. */
export interface KafkaNative {
  /**
   * Makes it a static member: it keeps its partitions while it restarts within the session timeout. Another one for each subscription of a name.
   * @default none
   */
  readonly instanceId?: string;
  /** @default that of the connection */
  readonly isolation?: "committed" | "uncommitted";
  /**
   * Publishes what handlers give to `transactionOf(ctx)` together with the position, in transactions of Kafka.
   * @default false
   */
  readonly transactional?: boolean;
}

/** The options with all their defaults. */
export interface KafkaSettings {
  readonly servers: readonly string[];
  readonly clientOptions: KafkaClientOptions & { readonly clientId: string };
  readonly connectTimeout: number;
  readonly topology: "create" | "check";
  readonly topic: {
    readonly partitions: number;
    readonly replicas: number | undefined;
    readonly configs: Readonly<Record<string, string>>;
  };
  readonly topicOf: (stream: string) => string;
  readonly groupOf: (stream: string, name: string) => string;
  readonly retryTopics: Required<KafkaRetryTopics> | undefined;
  readonly group: Required<KafkaGroupOptions>;
  readonly fetch: Required<KafkaFetchOptions>;
  readonly batchBytes: number;
  readonly compression: CompressionAlgorithmValue;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: KafkaConnectionOptions): KafkaSettings {
  const { clientOptions, connectTimeout = 10_000, topology = "create", topicOf = topicOfStream, groupOf = groupOfName } = options;
  const { batchBytes = 900_000, compression = "none", clock = systemClock, logger = silentLogger } = options;
  const { partitions = 6, replicas, configs = { "max.message.bytes": "8388608" } } = options.topic ?? {};
  if (topology !== "create" && topology !== "check") throw invalid("topology", topology, '"create" or "check"');
  for (const [option, given] of Object.entries({ topicOf, groupOf })) {
    if (typeof given !== "function") throw invalid(option, given, "a function");
  }
  requireWhole({ connectTimeout, batchBytes, "topic.partitions": partitions, "topic.replicas": replicas ?? 1 });
  if (!compressions.includes(compression)) throw invalid("compression", compression, compressions.join(", "));
  const { servers, security } = addressOf(options.url);
  return {
    servers,
    clientOptions: { ...security, ...clientOptions, clientId: clientOptions?.clientId ?? "event-driver" },
    connectTimeout,
    topology,
    topic: { partitions, replicas, configs },
    topicOf,
    groupOf,
    retryTopics: retryTopicsOf(options.retryTopics ?? false),
    group: groupSettings(options.group),
    fetch: fetchSettings(options.fetch),
    batchBytes,
    compression,
    clock,
    logger,
  };
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireNative({ instanceId, isolation, transactional }: KafkaNative): void {
  if (instanceId !== undefined && !/^\S+$/.test(instanceId))
    throw invalidOption("subscribe", "native.instanceId", instanceId, "a text without white space");
  if (isolation !== undefined) requireIsolation("subscribe", "native.isolation", isolation);
  if (transactional !== undefined && typeof transactional !== "boolean")
    throw invalidOption("subscribe", "native.transactional", transactional, "true or false");
}

const compressions: readonly string[] = ["none", "gzip", "snappy", "lz4", "zstd"];

function retryTopicsOf(given: KafkaRetryTopics | false): Required<KafkaRetryTopics> | undefined {
  if (given === false) return undefined;
  const { count = 3, streamOf = retryStreamOf } = given;
  requireWhole({ "retryTopics.count": count });
  if (typeof streamOf !== "function") throw invalid("retryTopics.streamOf", streamOf, "a function");
  return { count, streamOf };
}

function retryStreamOf({ stream, name, n }: { readonly stream: string; readonly name: string; readonly n: number }): string {
  return name === stream ? `${stream}.retry.${n}` : `${stream}.${name}.retry.${n}`;
}

function groupSettings(given: KafkaGroupOptions = {}): Required<KafkaGroupOptions> {
  const { sessionTimeout = 45_000, heartbeatInterval = 1_000, commitInterval = 1_000 } = given;
  const { revokeGrace = Math.min(5_000, Math.floor(sessionTimeout / 3)) } = given;
  requireWhole({
    "group.sessionTimeout": sessionTimeout,
    "group.heartbeatInterval": heartbeatInterval,
    "group.commitInterval": commitInterval,
  });
  if (heartbeatInterval > sessionTimeout / 3)
    throw invalid("group.heartbeatInterval", heartbeatInterval, `at most a third of group.sessionTimeout (${sessionTimeout})`);
  if (!(revokeGrace >= 0 && revokeGrace < sessionTimeout / 2))
    throw invalid("group.revokeGrace", revokeGrace, `milliseconds from 0, less than half of group.sessionTimeout (${sessionTimeout})`);
  return { sessionTimeout, heartbeatInterval, revokeGrace, commitInterval };
}

function fetchSettings({
  partitionBytes = 1_048_576,
  maxWait = 500,
  isolation = "committed",
}: KafkaFetchOptions = {}): Required<KafkaFetchOptions> {
  requireWhole({ "fetch.partitionBytes": partitionBytes, "fetch.maxWait": maxWait });
  requireIsolation("kafkaConnection", "fetch.isolation", isolation);
  return { partitionBytes, maxWait, isolation };
}

function requireIsolation(factory: string, option: string, given: string): void {
  if (given !== "committed" && given !== "uncommitted") throw invalidOption(factory, option, given, '"committed" or "uncommitted"');
}

function requireWhole(given: Readonly<Record<string, number>>): void {
  for (const [option, value] of Object.entries(given)) {
    if (!Number.isInteger(value) || value < 1) throw invalid(option, value, "a whole number from 1");
  }
}

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("kafkaConnection", option, given, allowed);
}
