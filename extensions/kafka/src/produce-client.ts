import {
  type Broker,
  type CompressionAlgorithmValue,
  NetworkError,
  type Producer,
  ProtocolError,
  protocolErrorsCodesById,
} from "@platformatic/kafka";
import type { Clock } from "event-driver";

import type { ProducerIdentity } from "./batch-encoder.ts";

import { type PartitionBatch, type ProduceApi, produceApi, type ProduceOutcome } from "./produce-api.ts";

/** Who leads the partitions of a topic. */
export interface Leaders {
  readonly partitionCount: number;
  /** `undefined` where nobody is known to. */
  readonly leaderOf: (partition: number) => number | undefined;
}

/** How records are sent. */
export interface ProduceClient {
  /** One that nobody has had. */
  newIdentity(): Promise<ProducerIdentity>;
  /** As it was a few seconds ago, or as it is. */
  leaders(topic: string, options?: { readonly isFresh: boolean }): Promise<Leaders>;
  /**
   * Sends batches to a node in one request. What is sent to it later comes later, unless it is connected to anew meanwhile.
   *
   * Resolves with what went wrong, by the partitions for which something did. Never rejects.
   */
  produce(node: number | undefined, topic: string, batches: readonly PartitionBatch[]): Promise<ReadonlyMap<number, unknown>>;
}

export interface ProduceClientOptions {
  readonly producer: Producer;
  readonly compression: CompressionAlgorithmValue;
  /** How many milliseconds the replicas have. */
  readonly timeout: number;
  readonly clock: Clock;
}

export function produceClient({ producer, compression, timeout, clock }: ProduceClientOptions): ProduceClient {
  let brokers: ReadonlyMap<number, Broker> = new Map();
  let api: ProduceApi | undefined;

  const send = async (node: number | undefined, topic: string, batches: readonly PartitionBatch[]): Promise<readonly ProduceOutcome[]> => {
    const broker = node === undefined ? undefined : brokers.get(node);
    if (broker === undefined) throw new NetworkError("no broker is known that leads the partition");
    api ??= produceApi(await producer.listApis());
    const connection = await producer.connections.get(broker);
    return api.async(connection, { topic, batches, compression, timeout, now: clock.now() });
  };

  return {
    newIdentity: () => producer.initIdempotentProducer({}),
    async leaders(topic, { isFresh } = { isFresh: false }) {
      const metadata = await producer.metadata({ topics: [topic], forceUpdate: isFresh });
      brokers = metadata.brokers;
      const found = metadata.topics.get(topic);
      if (found === undefined) throw new NetworkError(`the cluster says nothing of topic ${topic}`);
      return { partitionCount: found.partitionsCount, leaderOf: (partition) => found.partitions[partition]?.leader };
    },
    async produce(node, topic, batches) {
      try {
        const outcomes = new Map((await send(node, topic, batches)).map((outcome) => [outcome.partition, outcome]));
        return failuresOf(batches, outcomes);
      } catch (error) {
        // Another broker may speak something else.
        api = undefined;
        return new Map(batches.map(({ partition }) => [partition, error]));
      }
    },
  };
}

function failuresOf(batches: readonly PartitionBatch[], outcomes: ReadonlyMap<number, ProduceOutcome>): ReadonlyMap<number, unknown> {
  const failures = new Map<number, unknown>();
  for (const { partition } of batches) {
    const outcome = outcomes.get(partition);
    if (outcome === undefined) failures.set(partition, new NetworkError(`the broker has not answered for partition ${partition}`));
    else if (outcome.errorCode !== 0) failures.set(partition, failureOf(outcome));
  }
  return failures;
}

function failureOf({ errorCode, errorMessage }: ProduceOutcome): unknown {
  return new ProtocolError(errorCode in protocolErrorsCodesById ? errorCode : "UNKNOWN_SERVER_ERROR", errorMessage);
}
