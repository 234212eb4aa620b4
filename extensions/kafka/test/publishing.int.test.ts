import { kafkaConnection } from "@event-driver/kafka";
import { Admin, Producer } from "@platformatic/kafka";
import { createMessage, type Message } from "event-driver";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import type { SizedRecord } from "../src/batch-encoder.ts";

import { services } from "../../../test/services.ts";
import { sizeOfRecord } from "../src/outgoing-record.ts";
import { produceApi } from "../src/produce-api.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { TestStreams } from "./streams.ts";

const suite = await kafkaSuite("kafka");
const streams = new TestStreams();
afterAll(() => streams.remove());
const client = { clientId: "test", bootstrapBrokers: [services.kafka.url.replace("kafka://", "")] };
const patience = 40_000;

suite("publishing", () => {
  test.each([3, 4, 5, 6, 7, 8, 9, 10, 11])(
    "version %i of a request is spoken, and what the broker says of each partition understood",
    async (version) => {
      const topic = await topicWith({ partitions: 2 });
      const producer = new Producer(client);
      onTestFinished(() => producer.close());
      const identity = await producer.initIdempotentProducer({});
      const { brokers } = await producer.metadata({ topics: [topic] });
      const [broker] = brokers.values();
      if (broker === undefined) throw new Error("there is no broker");
      const connection = await producer.connections.get(broker);
      const api = produceApi([{ apiKey: 0, minVersion: 0, maxVersion: version }]);
      const send = (firstSequences: readonly number[]) =>
        api.async(connection, {
          topic,
          batches: firstSequences.map((firstSequence, partition) => ({
            partition,
            records: [sized("1"), sized("2")],
            identity,
            firstSequence,
          })),
          compression: "none",
          timeout: 5_000,
          now: Date.now(),
        });

      // A new topic is not led at once, and what is sent again is taken once.
      await vi.waitUntil(async () => (await send([0, 0])).every(({ errorCode }) => errorCode === 0), patience);
      const answer = await send([2, 7]);

      expect(api.version).toBe(version);
      expect(answer.toSorted((one, other) => one.partition - other.partition)).toMatchObject([
        { partition: 0, errorCode: 0 },
        { partition: 1, errorCode: outOfOrder },
      ]);
    },
  );

  test("a message that the broker refuses is the failure of its publish alone: those that were sent behind it are there, once and in order", async () => {
    const topic = await topicWith({ partitions: 1, "max.message.bytes": "2000" });
    const connection = await kafkaConnection({ url: services.kafka.url, topicOf: () => topic, batchBytes: 1 });
    onTestFinished(() => connection.close({ limit: 0 }));
    const ids = Array.from({ length: 60 }, (_, number) => String(number));
    const isRefused = (id: string): boolean => Number(id) % 20 === 7;

    const outcomes = await Promise.allSettled(
      ids.map((id) => connection.publish("orders", sample(id, isRefused(id) ? "x".repeat(3_000) : "{}"))),
    );

    const received: string[] = [];
    await connection.subscribe("orders", async (_ctx, { id }) => void received.push(id), { backfill: true, durable: false });
    await vi.waitUntil(() => received.length >= 57, patience);
    expect(received).toEqual(ids.filter((id) => !isRefused(id)));
    for (const [number, outcome] of outcomes.entries())
      expect(outcome).toMatchObject(
        isRefused(String(number)) ? { reason: { code: "ERR_TOO_LARGE", retryable: false } } : { value: String(number) },
      );
  });

  test("a topic that was removed is an error once that says to publish again, and is made anew then", async () => {
    const stream = streams.add();
    const connection = await kafkaConnection({ url: services.kafka.url, topic: { partitions: 1 } });
    onTestFinished(() => connection.close({ limit: 0 }));
    await connection.publish(stream, sample("1", "{}"));
    const admin = new Admin(client);
    onTestFinished(() => admin.close());
    await admin.deleteTopics({ topics: [stream] });
    await vi.waitUntil(async () => !(await admin.listTopics()).includes(stream), patience);

    await expect(connection.publish(stream, sample("2", "{}"))).rejects.toMatchObject({ code: "ERR_PUBLISH_FAILED", retryable: true });
    await connection.publish(stream, sample("3", "{}"));

    const received: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void received.push(id), { backfill: true });
    await vi.waitUntil(() => received.length > 0, patience);
    expect(received).toEqual(["3"]);
  });

  test.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)(
    "with compression %s a message comes as it was published",
    async (compression) => {
      const stream = streams.add();
      const connection = await kafkaConnection({ url: services.kafka.url, topic: { partitions: 1 }, compression });
      onTestFinished(() => connection.close({ limit: 0 }));
      const received: Message[] = [];
      await connection.subscribe(stream, async (_ctx, message) => void received.push(message));

      const messages = Array.from({ length: 100 }, (_, number) => sample(String(number), `{"note":"${"é🙂".repeat(number)}"}`));
      await Promise.all(messages.map((message) => connection.publish(stream, message)));
      await vi.waitUntil(() => received.length >= messages.length, patience);

      expect(received.map(({ id, content }) => ({ id, content }))).toEqual(messages.map(({ id, content }) => ({ id, content })));
    },
  );
});

const outOfOrder = 45;

async function topicWith({ partitions, ...configs }: { readonly partitions: number } & Record<string, string | number>): Promise<string> {
  const topic = streams.add();
  const admin = new Admin(client);
  try {
    await admin.createTopics({
      topics: [topic],
      partitions,
      replicas: 1,
      configs: Object.entries(configs).map(([name, value]) => ({ name, value: String(value) })),
    });
  } finally {
    await admin.close();
  }
  return topic;
}

function sized(id: string): SizedRecord {
  const record = { key: Buffer.from("order-1"), value: Buffer.from(id), headers: [] };
  return { record, size: sizeOfRecord(record) };
}

function sample(id: string, content: string): Message {
  return createMessage({ id, key: "order-1", source: "shop", content });
}
