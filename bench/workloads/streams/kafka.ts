import { kafkaConnection } from "@event-driver/kafka";
import { Admin, Consumer, type Message as KafkaMessage, MessagesStreamModes, Producer, stringSerializers } from "@platformatic/kafka";
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
    name: "@platformatic/kafka",
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
    async prepare() {},
    async consume(topic, groupId, handle) {
      const consumer = new Consumer({ ...options, groupId });
      const messages = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false });
      const done = new Map<number, KafkaMessage>();
      messages.on("data", (message) => {
        handle();
        done.set(message.partition, message);
      });
      const commit = async (): Promise<void> => {
        const offsets = Array.from(done.values(), ({ partition, offset, leaderEpoch }) => ({
          topic,
          partition,
          offset: offset + 1n,
          leaderEpoch,
        }));
        done.clear();
        if (offsets.length > 0) await consumer.commit({ offsets });
      };
      const timer = setInterval(() => void commit(), commitEvery);
      return async () => {
        clearInterval(timer);
        await commit();
        await messages.close();
        await consumer.close();
      };
    },
  };
  return {
    connection,
    bare,
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
      await consumer.run({ eachMessage: async () => handle() });
      return () => consumer.disconnect();
    },
  };
}

function chunks<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}
