import type { KafkaNative } from "@event-driver/kafka";
import type { Connection } from "event-driver/streams";

import { kafkaConnection, kafkaFeatures } from "@event-driver/kafka";
import { Producer } from "@platformatic/kafka";
import { connectionKit } from "event-driver/testing";
import { test } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { topicOfStream } from "../src/names.ts";
import { Sockets } from "./sockets.ts";

const suite = await suiteWith("kafka");
const handles = new WeakMap<object, Sockets>();

suite("a connection to Kafka", () => {
  connectionKit({
    test: (title, run) => test(title, { timeout: 90_000 }, run),
    skip: (title, reason) => test.skip(`${title} (${reason})`),
    open,
    openAnother: open,
    features: kafkaFeatures,
    crash: (connection) => handles.get(connection)?.cut(),
    outage: (connection) => {
      const sockets = handles.get(connection);
      sockets?.cut();
      return () => sockets?.mend();
    },
    poison: (_connection, stream) => poison(stream),
    patience: 30_000,
  });
});

async function open(): Promise<Connection<KafkaNative> & Connection> {
  const sockets = new Sockets();
  const connection = await kafkaConnection({
    url: services.kafka.url,
    connectTimeout: 2_000,
    clientOptions: { context: sockets.context },
    topic: { partitions: 4 },
    group: { sessionTimeout: 6_000, heartbeatInterval: 200, commitInterval: 100 },
  });
  handles.set(connection, sockets);
  return connection;
}

/** It claims to be an event, and lacks all that an event must have. */
async function poison(stream: string): Promise<void> {
  const producer = new Producer({ clientId: "poison", bootstrapBrokers: [services.kafka.url.replace("kafka://", "")] });
  const headers = new Map([[Buffer.from("ce_specversion"), Buffer.from("1.0")]]);
  try {
    await producer.send({ messages: [{ topic: topicOfStream(stream), key: Buffer.from("order-1"), value: Buffer.from([0xff]), headers }] });
  } finally {
    await producer.close();
  }
}
