import { randomUUID } from "node:crypto";
import { createMessage, type Message } from "event-driver";
import { onTestFinished, test, vi, expect } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { natsConnection, type NatsConnectionOptions } from "../src/index.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";
import { startWorker } from "./worker.ts";

const suite = await suiteWith("nats", "toxiproxy");
const patience = { timeout: 30_000, interval: 10 };

suite("NATS, when things break", () => {
  test("a broker that is killed and started again has lost nothing that was published, and takes what was published meanwhile", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    const connection = await opened({ url: broker.url });
    const done: string[] = [];
    await connection.subscribe("orders", async (_ctx, { id }) => void done.push(id));
    await connection.publishBatch("orders", numbered(200));
    await vi.waitFor(() => expect(done.length).toBe(200), patience);

    await broker.kill();
    const publishing = connection.publishBatch("orders", numbered(400).slice(200));
    await broker.restart();
    const settlements = await publishing;
    await vi.waitFor(() => expect(new Set(done).size).toBe(400), patience);

    expect(settlements.every(({ status }) => status === "published")).toBe(true);
  });

  test("a broker that is killed while messages are published and worked on loses none that was confirmed", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    const connection = await opened({ url: broker.url });
    const done = new Set<string>();
    const published: string[] = [];
    await connection.subscribe("orders", async (_ctx, { id }) => void done.add(id), { timeout: 2_000 });

    const waiting = [...numbered(3_000)];
    const publishing = Array.from({ length: 100 }, async () => {
      // A hundred at a time, so that the kill meets some that are confirmed, some on their way and some not begun.
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) published.push(await connection.publish("orders", next));
    });
    await vi.waitUntil(() => published.length > 500, patience);
    await broker.kill();
    await broker.restart();
    await Promise.all(publishing);

    await vi.waitFor(() => expect(done.size).toBe(3_000), patience);
  });

  test("what is cut in the middle of being published is there once, and each key in its order", async () => {
    const route = await temporaryRoute();
    const connection = await opened({ url: route.url });
    const stream = randomUUID();
    const messages = numbered(2_000);

    const publishing = connection.publishBatch(stream, messages);
    await vi.waitUntil(() => connection.status().publishing < 1_900, { ...patience, interval: 0 });
    await route.cut();
    await route.mend();
    const settlements = await publishing;

    expect(settlements.every(({ status }) => status === "published")).toBe(true);
    const got = await everything(stream);
    expect(got.map(({ id }) => id).toSorted(byNumber)).toEqual(messages.map(({ id }) => id));
    for (const [, sameKey] of Map.groupBy(got, ({ key }) => key)) {
      const ids = sameKey.map(({ id }) => id);
      expect(ids).toEqual(ids.toSorted(byNumber));
    }
  });

  test("a message is delivered again when its process was killed between the beginning and the end of its handler", async () => {
    const stream = randomUUID();
    const worker = startWorker("never finishes", services.nats.url, stream);
    await vi.waitFor(() => expect(worker.lines).toContain("ready"), patience);
    const connection = await opened({ url: services.nats.url });
    await connection.publish(stream, message("1"));
    await vi.waitFor(() => expect(worker.lines).toContain("1"), patience);

    await worker.kill();
    const attempts: number[] = [];
    await connection.subscribe(stream, async ({ attempt }) => void attempts.push(attempt), { timeout: 1_000 });
    await vi.waitFor(() => expect(attempts).toEqual([2]), patience);
  });

  test("close under load finishes what was begun and gives back the rest, and then the process ends by itself", async () => {
    const stream = randomUUID();
    const worker = startWorker("closes under load", services.nats.url, stream);
    await vi.waitFor(() => expect(worker.lines).toContain("ready"), patience);
    const connection = await opened({ url: services.nats.url });
    await connection.publishBatch(stream, numbered(500));

    const exitCode = await worker.ended;
    const done = worker.lines.flatMap((line) => (line.startsWith("done ") ? [line.slice("done ".length)] : []));
    const rest: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void rest.push(id));
    await vi.waitFor(() => expect(done.length + rest.length).toBe(500), patience);

    expect(exitCode).toBe(0);
    expect([...done, ...rest].toSorted(byNumber)).toEqual(numbered(500).map(({ id }) => id));
  });

  test("close ends in time although the broker has fallen silent", async () => {
    const route = await temporaryRoute();
    const connection = await opened({ url: route.url });
    await connection.subscribe(randomUUID(), async () => {});

    await route.freeze();
    const refusal = connection.publish(randomUUID(), message("1")).catch((error: unknown) => error);
    await connection.close({ limit: 10 });

    expect(await refusal).toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
    expect(connection.status().state).toBe("closed");
  });

  test("a connection notices that its broker has fallen silent, and loses nothing", async () => {
    const route = await temporaryRoute();
    const connection = await opened({ url: route.url, clientOptions: { pingInterval: 200, maxPingOut: 2, timeout: 1_000 } });
    const stream = randomUUID();
    const states: string[] = [];
    const done = new Set<string>();
    connection.on("state", ({ state }) => states.push(state));
    await connection.subscribe(stream, async (_ctx, { id }) => void done.add(id), { timeout: 2_000 });

    await route.freeze();
    const publishing = connection.publishBatch(stream, numbered(50));
    await vi.waitFor(() => expect(states).toContain("reconnecting"), patience);
    await route.mend();
    const settlements = await publishing;

    expect(settlements.every(({ status }) => status === "published")).toBe(true);
    await vi.waitFor(() => expect(done.size).toBe(50), patience);
  });

  test("publish rejects when the broker has not confirmed in time, and says that it may be there", async () => {
    const route = await temporaryRoute();
    const connection = await opened({ url: route.url, publishTimeout: 300 });

    await route.cut();

    await expect(connection.publish(randomUUID(), message("1"))).rejects.toMatchObject({ code: "ERR_PUBLISH_FAILED", retryable: true });
  });

  test("one that was alone and was away while another came is told that it has lost its name", async () => {
    const route = await temporaryRoute();
    const [first, second] = [await opened({ url: route.url }), await opened({ url: services.nats.url })];
    const stream = randomUUID();
    const lost: unknown[] = [];
    first.on("lost", ({ error }) => lost.push(error));
    await first.subscribe(stream, async () => {}, { serial: true });

    await route.cut();
    await vi.waitFor(async () => void (await second.subscribe(stream, async () => {}, { serial: true })), patience);
    await route.mend();

    await vi.waitFor(() => expect(lost).toEqual([expect.objectContaining({ code: "ERR_SUBSCRIPTION_BUSY" })]), patience);
  });

  /** Everything there is in a stream, in its order. */
  async function everything(stream: string): Promise<readonly Message[]> {
    const connection = await opened({ url: services.nats.url });
    const last = message("last");
    const got: Message[] = [];
    await connection.publish(stream, last);
    await connection.subscribe(stream, async (_ctx, next) => void got.push(next), { name: "reader", backfill: true, concurrency: 1 });
    await vi.waitFor(() => expect(got.at(-1)?.id).toBe("last"), patience);
    return got.slice(0, -1);
  }
});

async function opened(options: NatsConnectionOptions): ReturnType<typeof natsConnection> {
  const connection = await natsConnection(options);
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

async function temporaryRoute(): Promise<ToxicProxy> {
  const route = await toxicProxy(services.nats.url);
  onTestFinished(() => route.remove());
  return route;
}

function message(id: string): Message<string> {
  return createMessage({ id, key: "order-1", source: "shop", content: "x" });
}

/** So many messages over ten keys. */
function numbered(count: number): readonly Message<string>[] {
  return Array.from({ length: count }, (_, index) =>
    createMessage({ id: String(index), key: `order-${index % 10}`, source: "shop", content: `content of ${index}` }),
  );
}

function byNumber(one: string, other: string): number {
  return Number(one) - Number(other);
}
