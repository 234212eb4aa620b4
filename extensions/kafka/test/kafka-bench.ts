import type { KafkaConnectionOptions, KafkaNative } from "@event-driver/kafka";
import type { Connection } from "event-driver/streams";
import type { ConnectionKitOptions } from "event-driver/testing";

import { kafkaConnection, kafkaFeatures, topicOfStream } from "@event-driver/kafka";
import { Producer } from "@platformatic/kafka";

import { services } from "../../../test/services.ts";
import { Sockets } from "./sockets.ts";
import { TestStreams } from "./streams.ts";

export interface KafkaBench {
  /** What the conformance kit needs. */
  readonly options: Omit<ConnectionKitOptions, "test">;
  /** Nobody listens to the sockets any more, and the topics are removed. */
  readonly end: () => Promise<void>;
}

/** What the broker of the tests allows at least, and quick for the rest. */
export const quickGroup: NonNullable<KafkaConnectionOptions["group"]> = {
  sessionTimeout: 6_000,
  heartbeatInterval: 200,
  commitInterval: 100,
};

export function kafkaBench(options: Partial<KafkaConnectionOptions> = {}): KafkaBench {
  const streams = new TestStreams();
  const sockets = new Map<Connection<never>, Sockets>();

  const open = async (): Promise<Connection<KafkaNative>> => {
    const own = new Sockets();
    const connection = await kafkaConnection({
      url: services.kafka.url,
      connectTimeout: 2_000,
      clientOptions: { context: own.context },
      topic: { partitions: 4 },
      group: quickGroup,
      ...options,
    });
    sockets.set(connection, own);
    return connection;
  };
  return {
    options: {
      open,
      openAnother: open,
      newStream: (beginning) => streams.add(beginning),
      features: { ...kafkaFeatures, delay: options.retryTopics !== undefined },
      crash: (connection) => sockets.get(connection)?.cut(),
      outage(connection) {
        sockets.get(connection)?.cut();
        return () => sockets.get(connection)?.mend();
      },
      poison: (_connection, stream) => poison(topicOfStream(stream)),
      // A group waits so long for a member that has died.
      patience: 30_000,
    },
    async end() {
      for (const each of sockets.values()) each.close();
      await streams.remove();
    },
  };
}

/** It claims to be an event, and lacks all that an event must have. */
async function poison(topic: string): Promise<void> {
  const producer = new Producer({ clientId: "poison", bootstrapBrokers: [services.kafka.url.replace("kafka://", "")] });
  const headers = new Map([[Buffer.from("ce_specversion"), Buffer.from("1.0")]]);
  try {
    await producer.send({ messages: [{ topic, key: Buffer.from("order-1"), value: Buffer.from([0xff]), headers }] });
  } finally {
    await producer.close();
  }
}
