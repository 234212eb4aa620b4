import { type KafkaConnection, type KafkaConnectionOptions, kafkaConnection, topicOfStream } from "@event-driver/kafka";
import { Admin } from "@platformatic/kafka";
import { type Context, createMessage, type Message } from "event-driver";
import { deliveryOf } from "event-driver/streams";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { services } from "../../../test/services.ts";
import { startWorker } from "./child.ts";
import { hashesInJava } from "./java-hashes.ts";
import { quickGroup } from "./kafka-bench.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { TestStreams } from "./streams.ts";

const suite = await kafkaSuite("kafka");
const streams = new TestStreams();
afterAll(() => streams.remove());
const patience = 40_000;

suite("topics", () => {
  test("a topic that is missing is made with the settings that were given", async () => {
    const stream = streams.add();
    const connection = await opened({ topic: { partitions: 3, configs: { "retention.ms": "3600000" } } });
    const admin = adminOf();

    await connection.publish(stream, sample("1"));

    const { topics } = await admin.metadata({ topics: [stream] });
    const [described] = await admin.describeConfigs({
      resources: [{ resourceType: 2, resourceName: stream, configurationKeys: ["retention.ms"] }],
    });
    expect(topics.get(stream)?.partitionsCount).toBe(3);
    expect(described?.configs.find(({ name }) => name === "retention.ms")?.value).toBe("3600000");
  });

  test('with topology: "check" a missing topic is an error that says what to do, and nothing is made', async () => {
    const stream = streams.add();
    const connection = await opened({ topology: "check" });
    const expected = { code: "ERR_TOPOLOGY", message: expect.stringContaining(stream) };

    await expect(connection.publish(stream, sample("1"))).rejects.toMatchObject(expected);
    await expect(connection.subscribe(stream, async () => {})).rejects.toMatchObject(expected);

    expect(await adminOf().listTopics()).not.toContain(stream);
  });

  test("a key has the partition that Java's client gives it", async () => {
    const stream = streams.add();
    const connection = await opened({ topic: { partitions: 97 } });
    const partitions = new Map<string, string | undefined>();
    await connection.subscribe(stream, async (ctx, { key }) => void partitions.set(key, deliveryOf(ctx)?.partition));

    for (const key of hashesInJava.keys()) await connection.publish(stream, sample(key, key));
    await vi.waitUntil(() => partitions.size === hashesInJava.size, patience);

    for (const [key, hash] of hashesInJava) expect(partitions.get(key)).toBe(String((hash & 0x7fffffff) % 97));
  });

  test("partitions that are added are worked on", async () => {
    const stream = streams.add();
    const connection = await opened({ topic: { partitions: 1 } });
    const partitions = new Set<number>();
    await connection.subscribe(stream, async (ctx) => void partitions.add(Number(deliveryOf(ctx)?.partition)));

    await adminOf().createPartitions({
      topics: [{ name: topicOfStream(stream), count: 3, assignments: [{ brokerIds: [1] }, { brokerIds: [1] }] }],
    });
    let number = 0;
    await vi.waitUntil(
      async () => {
        number += 1;
        await connection.publish(stream, sample(String(number), `order-${number}`));
        return partitions.size === 3;
      },
      { timeout: patience, interval: 50 },
    );

    expect(partitions).toEqual(new Set([0, 1, 2]));
  });
});

suite("a group", () => {
  test("a member that loses a partition while handlers run has them aborted, and commits nothing for it however late they end", async () => {
    const stream = streams.add();
    const [one, other] = [await opened({ group: { ...quickGroup, revokeGrace: 50 } }), await opened()];
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const aborted = new Set<string | undefined>();
    const begun = new Map<string, string | undefined>();
    await one.subscribe(
      stream,
      async (ctx, { id }) => {
        begun.set(id, deliveryOf(ctx)?.partition);
        ctx.signal.addEventListener("abort", () => aborted.add(deliveryOf(ctx)?.partition));
        await released;
      },
      { concurrency: 100 },
    );
    for (let number = 0; number < 40; number += 1) await one.publish(stream, sample(String(number), `order-${number}`));
    await vi.waitUntil(() => begun.size === 40, patience);

    const rebalanced = new Promise<readonly string[]>(
      (resolve) => void one.on("rebalance", ({ lost }) => lost.length > 0 && resolve(lost)),
    );
    const stuck = Promise.withResolvers<void>();
    const taken = new Set<string | undefined>();
    await other.subscribe(
      stream,
      async (ctx) => {
        taken.add(deliveryOf(ctx)?.partition);
        await stuck.promise;
      },
      { concurrency: 100 },
    );
    const lost = await rebalanced;
    await vi.waitUntil(() => taken.size === lost.length && aborted.size === lost.length, patience);
    release();
    const kept = [...new Set(begun.values())].filter((partition) => !lost.includes(partition ?? ""));
    await one.close();
    const committed = await committedOf(stream);
    stuck.resolve();

    expect(aborted).toEqual(new Set(lost));
    for (const partition of lost) expect(committed.get(Number(partition))).toBe(0n);
    for (const partition of kept) expect(committed.get(Number(partition))).toBeGreaterThan(0n);
  });

  test("what runs may finish and is committed before its partition goes elsewhere: nothing is done twice", async () => {
    const stream = streams.add();
    const [one, other] = [await opened(), await opened()];
    const ids: string[] = [];
    const work = async (_ctx: unknown, { id }: Message): Promise<void> => {
      ids.push(id);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await one.subscribe(stream, work, { concurrency: 1 });
    await one.publishBatch(
      stream,
      Array.from({ length: 500 }, (_, number) => sample(String(number), `order-${number}`)),
    );

    await other.subscribe(stream, work, { concurrency: 1 });
    await vi.waitUntil(() => new Set(ids).size === 500, patience);

    expect(ids.length).toBe(500);
  });

  test("a static member that is back soon has the partitions that it had, and the others notice nothing", async () => {
    const stream = streams.add();
    const [one, other, later] = [await opened(), await opened(), await opened()];
    const [first, second] = [new Set<number>(), new Set<number>()];
    const seenBy = (partitions: Set<number>) => async (ctx: Context) => void partitions.add(Number(deliveryOf(ctx)?.partition));
    const changes: unknown[] = [];
    await other.subscribe(stream, async () => {}, { native: { instanceId: "other" } });
    await one.subscribe(stream, seenBy(first), { native: { instanceId: "one" } });
    await vi.waitUntil(() => publishedTo(one, stream, () => first.size === 2), { timeout: patience });
    other.on("rebalance", (change) => void changes.push(change));

    await one.close();
    await later.subscribe(stream, seenBy(second), { native: { instanceId: "one" } });
    await vi.waitUntil(() => publishedTo(later, stream, () => second.size === 2), { timeout: patience });

    expect(second).toEqual(first);
    expect(changes).toEqual([]);
  });

  test("10,000 messages wait at the broker and not in memory, however slow the handler is", async () => {
    const stream = streams.add();
    const connection = await opened();
    let [running, most, done] = [0, 0, 0];
    await connection.publishBatch(
      stream,
      Array.from({ length: 10_000 }, (_, number) => sample(String(number), `order-${number}`)),
    );

    await connection.subscribe(
      stream,
      async () => {
        running += 1;
        most = Math.max(most, connection.status().subscriptions[0]?.inFlight ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        done += 1;
      },
      { backfill: true, maxInFlight: 20 },
    );
    await vi.waitUntil(() => done === 10_000, patience);

    expect(running).toBe(0);
    expect(most).toBeLessThanOrEqual(20);
  });

  test("the lag is told, and falls to nothing", async () => {
    const stream = streams.add();
    const connection = await opened();
    const lags: number[] = [];
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    connection.on("lag", ({ messages }) => void lags.push(messages));
    await connection.subscribe(stream, () => released, { name: "slow" });
    await connection.publishBatch(
      stream,
      Array.from({ length: 30 }, (_, number) => sample(String(number), `order-${number}`)),
    );

    await vi.waitUntil(() => lags.includes(30), patience);
    release();
    await vi.waitUntil(() => lags.at(-1) === 0, patience);

    expect(lags.every((messages) => messages <= 30)).toBe(true);
  });
});

suite("a process", () => {
  test("that is killed between the handler and the commit loses nothing", async () => {
    const stream = streams.add();
    const connection = await opened();
    const worker = startWorker("works", services.kafka.url, stream);
    await vi.waitUntil(() => worker.lines().includes("ready"), patience);
    await connection.publishBatch(
      stream,
      Array.from({ length: 100 }, (_, number) => sample(String(number), `order-${number}`)),
    );
    await vi.waitUntil(() => worker.lines().filter((line) => line.startsWith("done")).length > 20, patience);

    await worker.kill();
    const ids = new Set<string>();
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.add(id));
    await vi.waitUntil(() => ids.size === 100, patience);

    expect(ids.size).toBe(100);
  });

  test("that closes under load finishes what it has begun, gives back the rest and ends by itself", async () => {
    const stream = streams.add();
    const connection = await opened();
    const worker = startWorker("closes under load", services.kafka.url, stream);
    onTestFinished(() => worker.kill());
    await vi.waitUntil(() => worker.lines().includes("ready"), patience);
    await connection.publishBatch(
      stream,
      Array.from({ length: 100 }, (_, number) => sample(String(number), `order-${number}`)),
    );

    const code = await worker.ended();
    const lines = worker.lines().filter((line) => line !== "ready");
    const done = lines.filter((line) => line.startsWith("done ")).map((line) => line.slice(5));
    const rest: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void rest.push(id));
    await vi.waitUntil(() => done.length + rest.length >= 100, patience);

    expect(code).toBe(0);
    expect(lines.filter((line) => !line.startsWith("done ")).toSorted()).toEqual(done.toSorted());
    expect(new Set([...done, ...rest]).size).toBe(100);
    expect(done.length + rest.length).toBe(100);
  });
});

/** Publishes under many keys, and says whether that was enough. */
async function publishedTo(connection: KafkaConnection, stream: string, isEnough: () => boolean): Promise<boolean> {
  for (let number = 0; number < 20; number += 1) await connection.publish(stream, sample(String(number), `order-${number}`));
  return isEnough();
}

async function committedOf(stream: string): Promise<ReadonlyMap<number, bigint>> {
  const [group] = await adminOf().listConsumerGroupOffsets({ groups: [stream] });
  const partitions = group?.topics.find(({ name }) => name === stream)?.partitions ?? [];
  return new Map(partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]));
}

function adminOf(): Admin {
  const admin = new Admin({ clientId: "test", bootstrapBrokers: [services.kafka.url.replace("kafka://", "")] });
  onTestFinished(() => admin.close());
  return admin;
}

async function opened(options: Partial<KafkaConnectionOptions> = {}): Promise<KafkaConnection> {
  const connection = await kafkaConnection({ url: services.kafka.url, topic: { partitions: 4 }, group: quickGroup, ...options });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

function sample(id: string, key: string = "order-1"): Message {
  return createMessage({ id, key, source: "shop", content: "{}" });
}
