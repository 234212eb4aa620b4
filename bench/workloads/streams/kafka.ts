import { kafkaConnection } from "@event-driver/kafka";
import {
  Admin,
  type CommitOptionsPartition,
  Consumer,
  type ConsumerOptions,
  type Message as KafkaMessage,
  MessagesStreamModes,
  Producer,
  stringDeserializers,
  stringSerializers,
} from "@platformatic/kafka";
import { Kafka as KafkaJs, logLevel } from "kafkajs";

import { inFlight, inLanes, type StreamBroker, type StreamClient, type StreamConsumer } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";
import { nestOnKafka } from "./nest.ts";

/** So that four processes can share a stream evenly. */
const partitions = 8;

/** The client sends what one call has in one request for each broker, and several of those at a time. */
const batch = inFlight / 2;

/** Milliseconds between two commits, as ours has by default. */
const commitEvery = 1_000;

/** Kafka, the client that ours stands on as one would use it by hand, and what else reads it. */
export async function openKafka(url: string): Promise<StreamBroker> {
  const broker = new URL(url).host;
  const options = { clientId: "bench", bootstrapBrokers: [broker] };
  const connection = await kafkaConnection({ url, topic: { partitions } });
  const admin = new Admin(options);
  const producer = new Producer({ ...options, serializers: stringSerializers, idempotent: true });

  const bare: StreamClient = {
    ...consumer("@platformatic/kafka", options, (message) => message),
    publish: (topic, messages) =>
      inLanes(chunks(messages, batch), inFlight / batch, (chunk) =>
        producer.send({
          messages: chunk.map(({ id, key, source, time = "", content }) => ({
            topic,
            key,
            value: String(content),
            headers: {
              ce_specversion: "1.0",
              ce_id: id,
              ce_source: source,
              ce_type: eventType,
              ce_time: time,
              "content-type": contentType,
            },
          })),
        }),
      ),
  };
  return {
    connection,
    bare,
    reading: consumer("@platformatic/kafka, reading the event", { ...options, deserializers: stringDeserializers }, eventOf),
    others: [kafkaJs(broker), nestOnKafka(broker)],
    isLog: true,
    async remove(topic) {
      await admin.deleteTopics({ topics: [topic] });
    },
    async close() {
      await connection.close();
      await producer.close();
      await admin.close();
    },
  };
}

function consumer<Part>(
  name: string,
  options: Omit<ConsumerOptions<Part, Part, Part, Part>, "groupId">,
  read: (message: KafkaMessage<Part, Part, Part, Part>) => unknown,
): StreamConsumer {
  return {
    name,
    async prepare() {},
    async consume(topic, groupId, handle) {
      const opened = new Consumer({ ...options, groupId });
      const messages = await opened.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false });
      const done = new Map<number, CommitOptionsPartition>();
      messages.on("data", (message) => {
        handle(read(message));
        const { partition, offset, leaderEpoch } = message;
        done.set(partition, { topic, partition, offset: offset + 1n, leaderEpoch });
      });
      const commit = async (): Promise<void> => {
        const offsets = [...done.values()];
        done.clear();
        if (offsets.length > 0) await opened.commit({ offsets });
      };
      const timer = setInterval(() => void commit(), commitEvery);
      return async () => {
        clearInterval(timer);
        await commit();
        await messages.close();
        await opened.close();
      };
    },
  };
}

function eventOf({ key, value, headers }: KafkaMessage<string, string, string, string>): unknown {
  return {
    id: headers.get("ce_id"),
    key,
    source: headers.get("ce_source"),
    type: headers.get("ce_type"),
    time: headers.get("ce_time"),
    content: value,
  };
}

/** The client that most services have, by the way that its documentation begins with. */
function kafkaJs(broker: string): StreamConsumer {
  const client = new KafkaJs({ clientId: "bench", brokers: [broker], logLevel: logLevel.NOTHING });
  return {
    name: "kafkajs, eachMessage",
    async prepare() {},
    async consume(topic, groupId, handle) {
      const consumer = client.consumer({ groupId });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({ eachMessage: async ({ message }) => handle(message) });
      return () => consumer.disconnect();
    },
  };
}

function chunks<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}
