import { type KafkaConnectionOptions, type KafkaNative, kafkaConnection } from "@event-driver/kafka";
import { type Context, createMessage, type Message } from "event-driver";
import { type Connection, deliveryOf } from "event-driver/streams";
import { connectionKit } from "event-driver/testing";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { services } from "../../../test/services.ts";
import { kafkaBench, quickGroup } from "./kafka-bench.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { TestStreams } from "./streams.ts";

const suite = await kafkaSuite("kafka");
const streams = new TestStreams();
afterAll(() => streams.remove());

suite("a connection to Kafka with retry topics", () => {
  const { options, end } = kafkaBench({ retryTopics: {} });
  afterAll(end);

  connectionKit({ ...options, test });
});

suite("retry topics", () => {
  test("what failed comes again with its id, its place and its attempts, also to another process", async () => {
    const stream = streams.add();
    const receipts: Receipt[] = [];
    const [first, second] = [await opened(), await opened()];
    await first.subscribe(
      stream,
      async (ctx, message) => {
        receipts.push(receiptOf(ctx, message));
        throw new Error("not yet");
      },
      { order: "none", retry: { delays: [1, 300] } },
    );

    await first.publish(stream, sample("1"));
    await vi.waitUntil(() => receipts.length === 2 && first.status().subscriptions[0]?.inFlight === 0, 30_000);
    await first.close();
    await second.subscribe(stream, async (ctx, message) => void receipts.push(receiptOf(ctx, message)), { order: "none" });
    await vi.waitUntil(() => receipts.length === 3, 30_000);

    expect(receipts.map(({ id, attempt }) => ({ id, attempt }))).toEqual([1, 2, 3].map((attempt) => ({ id: "1", attempt })));
    expect(new Set(receipts.map(({ place }) => place)).size).toBe(1);
  });

  test("each attempt has its topic, named as the function says, and the last one takes all further attempts", async () => {
    const stream = streams.add();
    const connection = await opened({ retryTopics: { count: 2, streamOf: ({ n }) => `${stream}-again-${n}` } });
    const spy = await opened({ retryTopics: false });
    const copies: string[] = [];
    for (const n of [1, 2])
      await spy.subscribe(`${stream}-again-${n}`, async (_ctx, { id }) => void copies.push(`${id} in ${n}`), { name: "spy" });
    const attempts: number[] = [];
    await connection.subscribe(
      stream,
      async (ctx) => {
        attempts.push(ctx.attempt);
        if (ctx.attempt < 4) throw new Error("not yet");
      },
      { order: "none", retry: { delays: [1, 1, 1] } },
    );

    await connection.publish(stream, sample("1"));
    await vi.waitUntil(() => attempts.length === 4 && copies.length === 3, 30_000);

    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(copies).toEqual(["1 in 1", "1 in 2", "1 in 2"]);
  });

  test("two names whose retry topics are the same do not get each other's messages", async () => {
    const stream = streams.add();
    const connection = await opened({ retryTopics: { count: 1, streamOf: () => `${stream}.retry` } });
    const seen: string[] = [];
    for (const name of ["billing", "shipping"]) {
      await connection.subscribe(
        stream,
        async (ctx) => {
          seen.push(`${name} ${ctx.attempt}`);
          if (name === "billing" && ctx.attempt < 3) throw new Error("not yet");
        },
        { name, order: "none", retry: { delays: [1, 1] } },
      );
    }

    await connection.publish(stream, sample("1"));
    await vi.waitUntil(() => seen.includes("billing 3") && seen.includes("shipping 1"), 30_000);
    await connection.close();

    expect(seen.toSorted()).toEqual(["billing 1", "billing 2", "billing 3", "shipping 1"]);
  });

  test("a name that was forgotten does not get what had failed under it", async () => {
    const stream = streams.add();
    const connection = await opened();
    const attempts: number[] = [];
    const failing = await connection.subscribe(
      stream,
      async (ctx) => {
        attempts.push(ctx.attempt);
        throw new Error("not yet");
      },
      { order: "none", retry: { delays: [60_000] } },
    );
    await connection.publish(stream, sample("1"));
    await vi.waitUntil(() => attempts.length === 1 && connection.status().subscriptions[0]?.inFlight === 0, 30_000);
    await failing.unsubscribe();
    const ids: string[] = [];

    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { order: "none" });
    await connection.publish(stream, sample("2"));
    await vi.waitUntil(() => ids.length > 0, 30_000);

    expect(ids).toEqual(["2"]);
  });
});

async function opened(options: Partial<KafkaConnectionOptions> = {}): Promise<Connection<KafkaNative>> {
  const connection = await kafkaConnection({
    url: services.kafka.url,
    topic: { partitions: 2 },
    group: quickGroup,
    retryTopics: {},
    ...options,
  });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

interface Receipt {
  readonly id: string;
  readonly attempt: number;
  readonly place: string;
}

function receiptOf(ctx: Context, { id }: Message): Receipt {
  const { partition, position } = deliveryOf(ctx) ?? {};
  return { id, attempt: ctx.attempt, place: `${partition} ${position}` };
}

function sample(id: string): ReturnType<typeof createMessage<string>> {
  return createMessage({ id, key: "order-1", source: "shop", content: "{}" });
}
