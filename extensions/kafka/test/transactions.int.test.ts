import { type KafkaConnection, kafkaConnection, transactionOf } from "@event-driver/kafka";
import { type Context, createMessage, type Message, pipeline, TerminalError } from "event-driver";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { services } from "../../../test/services.ts";
import { startWorker } from "./child.ts";
import { quickGroup } from "./kafka-bench.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { TestStreams } from "./streams.ts";

const suite = await kafkaSuite("kafka");
const streams = new TestStreams();
afterAll(() => streams.remove());
const patience = 40_000;
/** A transaction that nobody ends is open for ten seconds, and the broker looks every ten seconds whether there is one. */
const longPatience = 90_000;

suite("transactions", () => {
  test("what a handler publishes comes once, with the last attempt, and not for what failed for good", async () => {
    const [orders, invoices, deadLetter] = [streams.add(), streams.add(), streams.add()];
    const connection = await opened();
    const [seen, dead] = [await idsOf(connection, invoices), await idsOf(connection, deadLetter)];
    await connection.subscribe(
      orders,
      invoicing(connection, (ctx, { id }) => {
        transactionOf(ctx).publish(invoices, sample(`${id} at ${ctx.attempt}`));
        if (id === "spoilt") throw new TerminalError("no such customer");
        if (id === "slow" && ctx.attempt < 3) throw new Error("not yet");
      }),
      { native: { transactional: true }, retry: { delays: [5, 5] }, deadLetter },
    );

    for (const id of ["first", "slow", "spoilt", "last"]) await connection.publish(orders, sample(id));
    await vi.waitUntil(() => seen.length === 3 && dead.length === 1, patience);
    await connection.close();

    expect(seen.toSorted()).toEqual(["first at 1", "last at 1", "slow at 3"]);
  });

  test("the position goes with what was published: the next one goes on behind it", async () => {
    const [orders, invoices] = [streams.add(), streams.add()];
    const connection = await opened();
    const seen = await idsOf(connection, invoices);
    const work = invoicing(connection, (ctx, { id }) => transactionOf(ctx).publish(invoices, sample(id)));
    const options = { native: { transactional: true } };
    const first = await connection.subscribe(orders, work, options);
    for (let number = 0; number < 50; number += 1) await connection.publish(orders, sample(String(number), `order-${number % 7}`));
    await vi.waitUntil(() => seen.length === 50, patience);

    await first.close();
    await connection.subscribe(orders, work, options);
    await connection.publish(orders, sample("after"));
    await vi.waitUntil(() => seen.includes("after"), patience);

    expect(seen.length).toBe(51);
  });

  test("processes that are killed between the handler and the commit publish everything exactly once", async () => {
    const [orders, invoices] = [streams.add(), streams.add()];
    const connection = await opened();
    const seen = await idsOf(connection, invoices);
    const waiting = await connection.subscribe(orders, async () => {});
    await waiting.close();
    const ids = Array.from({ length: 400 }, (_, number) => String(number));
    await connection.publishBatch(
      orders,
      ids.map((id) => sample(id, `order-${Number(id) % 13}`)),
    );

    for (const begun of [20, 60]) {
      const worker = startWorker("invoices", services.kafka.url, orders, invoices);
      await vi.waitUntil(() => worker.lines().length > begun, longPatience);
      await worker.kill();
    }
    const last = startWorker("invoices", services.kafka.url, orders, invoices);
    onTestFinished(() => last.kill());
    await vi.waitUntil(() => new Set(seen).size === ids.length, longPatience);

    expect(seen.toSorted()).toEqual(ids.map((id) => `invoice ${id}`).toSorted());
  }, 300_000);

  test("what is done by a process that has lost its partition is not published", async () => {
    const [orders, invoices] = [streams.add(), streams.add()];
    const [one, other] = [await opened({ revokeGrace: 0 }), await opened()];
    const seen = await idsOf(other, invoices);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let begun = 0;
    await one.subscribe(
      orders,
      invoicing(one, async (ctx, { id }) => {
        begun += 1;
        transactionOf(ctx).publish(invoices, sample(`${id} by one`));
        await released;
      }),
      { native: { transactional: true }, concurrency: 50 },
    );
    for (let number = 0; number < 20; number += 1) await one.publish(orders, sample(String(number), `order-${number}`));
    await vi.waitUntil(() => begun === 20, patience);

    const lost = new Promise<readonly string[]>(
      (resolve) => void one.on("rebalance", (change) => change.lost.length > 0 && resolve(change.lost)),
    );
    await other.subscribe(
      orders,
      invoicing(other, (ctx, { id }) => transactionOf(ctx).publish(invoices, sample(`${id} by other`))),
      { native: { transactional: true } },
    );
    await lost;
    await vi.waitUntil(() => seen.length > 0, patience);
    release();
    await vi.waitUntil(() => new Set(seen.map(numberOf)).size === 20, patience);
    await one.close();

    expect(seen.length).toBe(20);
    expect(seen.some((id) => id.endsWith("by other"))).toBe(true);
  });

  test("without native: { transactional: true } the stage fails, and says what to do", async () => {
    const orders = streams.add();
    const connection = await opened();
    const errors: unknown[] = [];
    connection.on("failure", ({ error }) => void errors.push(error));
    await connection.subscribe(
      orders,
      invoicing(connection, () => {}),
      { deadLetter: streams.add() },
    );

    await connection.publish(orders, sample("1"));
    await vi.waitUntil(() => errors.length > 0, patience);

    expect(errors[0]).toMatchObject({ code: "ERR_UNSUPPORTED", message: expect.stringContaining("native: { transactional: true }") });
  });
});

function invoicing(connection: KafkaConnection, work: (ctx: Context, message: Message) => unknown): ReturnType<typeof pipeline> {
  return pipeline()
    .use(connection.transactional())
    .use(async (ctx, message) => void (await work(ctx, message)));
}

/** The ids of all that is published to a stream from now on. */
async function idsOf(connection: KafkaConnection, stream: string): Promise<readonly string[]> {
  const ids: string[] = [];
  await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { name: "spy" });
  return ids;
}

async function opened(group: { readonly revokeGrace?: number } = {}): Promise<KafkaConnection> {
  const connection = await kafkaConnection({ url: services.kafka.url, topic: { partitions: 4 }, group: { ...quickGroup, ...group } });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

function sample(id: string, key: string = "order-1"): Message {
  return createMessage({ id, key, source: "shop", content: "{}" });
}

function numberOf(id: string): string {
  return id.replace(/ by .*/, "");
}
