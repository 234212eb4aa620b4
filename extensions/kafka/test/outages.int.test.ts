import { type KafkaConnection, type KafkaConnectionOptions, kafkaConnection } from "@event-driver/kafka";
import { createMessage, isEventDriverError, type Message } from "event-driver";
import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { type OwnBroker, ownBroker } from "../../../test/broker-process.ts";
import { services } from "../../../test/services.ts";
import { quickGroup } from "./kafka-bench.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { Sockets } from "./sockets.ts";

const suite = await kafkaSuite("kafka");
const patience = 60_000;

suite("a broker of its own", () => {
  let broker: OwnBroker;
  beforeAll(async () => void (broker = await ownBroker("kafka")), 120_000);
  beforeEach(() => broker.restart(), 120_000);
  afterAll(() => broker?.stop(), 60_000);

  test("that is killed and started again loses nothing, and nothing is published twice", { timeout: 180_000 }, async () => {
    const stream = randomUUID();
    const connection = await opened({ url: broker.url });
    const states: string[] = [];
    const ids: string[] = [];
    connection.on("state", ({ state }) => void states.push(state));
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id));
    const published: string[] = [];
    const publishing = (async () => {
      for (let number = 0; number < 300; number += 1) {
        published.push(await connection.publish(stream, sample(String(number), `order-${number % 7}`)));
      }
    })();
    await vi.waitUntil(() => ids.length > 50, patience);

    await broker.kill();
    await vi.waitUntil(() => states.includes("reconnecting"), patience);
    await broker.restart();
    await publishing;
    await vi.waitUntil(() => new Set(ids).size === 300, patience);
    await vi.waitUntil(() => connection.status().state === "connected", patience);
    const again: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void again.push(id), { name: "again", backfill: true });
    await vi.waitUntil(() => again.length >= 300, patience);

    expect(published.length).toBe(300);
    expect(again.toSorted()).toEqual(published.toSorted());
  });

  test(
    "that is killed while many messages are on their way has each of them once, and each key in order",
    { timeout: 180_000 },
    async () => {
      const stream = randomUUID();
      const connection = await opened({ url: broker.url, publishBuffer: Infinity, batchBytes: 20_000 });
      const messages = Array.from({ length: 20_000 }, (_, number) => sample(String(number), `order-${number % 7}`));
      let confirmed = 0;

      const publishing = Promise.all(messages.map(async (message) => (await connection.publish(stream, message), (confirmed += 1))));
      await vi.waitUntil(() => confirmed > 1_000, { timeout: patience, interval: 1 });
      await broker.kill();
      const confirmedBefore = confirmed;
      await broker.restart();
      await publishing;

      const received: Message[] = [];
      await connection.subscribe(stream, async (_ctx, message) => void received.push(message), { backfill: true, concurrency: 1 });
      await vi.waitUntil(() => received.length >= messages.length, patience);
      expect(confirmedBefore).toBeLessThan(messages.length);
      expectOnceInOrder(received, messages);
    },
  );

  test("that is away when a topic is needed is waited for, and publish gives up when its signal aborts", { timeout: 180_000 }, async () => {
    const connection = await opened({ url: broker.url });
    const [stream, controller] = [randomUUID(), new AbortController()];
    await broker.kill();

    const given = connection.publish(stream, sample("1"), { signal: controller.signal });
    const waiting = connection.publish(stream, sample("2"));
    controller.abort(new Error("nobody waits any longer"));
    await expect(given).rejects.toThrow("nobody waits any longer");
    await broker.restart();

    expect(await waiting).toBe("2");
  });

  test("that goes away for good does not keep a connection from closing", { timeout: 180_000 }, async () => {
    const connection = await opened({ url: broker.url });
    await connection.subscribe(randomUUID(), async () => {});
    await broker.kill();
    const publishing = connection.publish(randomUUID(), sample("1")).catch((error: unknown) => error);

    await connection.close({ limit: 100 });

    const error = await publishing;
    expect(isEventDriverError(error) && error.retryable).toBe(true);
  });
});

suite("the network", () => {
  test("that is cut while much is published loses nothing of what was confirmed, keeps the order of each key, and doubles nothing", async () => {
    const [stream, sockets] = [randomUUID(), new Sockets()];
    onTestFinished(() => sockets.close());
    const connection = await opened({ clientOptions: { context: sockets.context }, publishBuffer: Infinity, batchBytes: 20_000 });
    const reader = await opened();
    const received: Message[] = [];
    await reader.subscribe(stream, async (_ctx, message) => void received.push(message), { concurrency: 1 });
    const messages = Array.from({ length: 20_000 }, (_, number) => sample(String(number), `order-${number % 5}`));
    let confirmed = 0;

    const publishing = Promise.all(messages.map(async (message) => (await connection.publish(stream, message), (confirmed += 1))));
    for (const enough of [1_000, 5_000, 12_000]) {
      await vi.waitUntil(() => confirmed > enough, { timeout: patience, interval: 1 });
      sockets.cut();
      sockets.mend();
    }
    const confirmedBefore = confirmed;
    await publishing;
    await vi.waitUntil(() => received.length >= messages.length, patience);

    expect(confirmedBefore).toBeLessThan(messages.length);
    expectOnceInOrder(received, messages);
  });

  test("without a broker the connection fails in time, and names the servers", async () => {
    const hole = createServer((socket) => void socket.resume()).listen(0, "127.0.0.1");
    onTestFinished(() => void hole.close());
    await once(hole, "listening");
    const address = hole.address();
    const port = typeof address === "object" ? address?.port : 0;

    await expect(kafkaConnection({ url: `kafka://127.0.0.1:${port}`, connectTimeout: 300 })).rejects.toMatchObject({
      code: "ERR_CONNECTION_FAILED",
      retryable: true,
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await expect(kafkaConnection({ url: "127.0.0.1:1", connectTimeout: 2_000 })).rejects.toMatchObject({ code: "ERR_CONNECTION_FAILED" });
  });
});

function expectOnceInOrder(received: readonly Message[], published: readonly Message[]): void {
  expect(received.length).toBe(published.length);
  for (const [key, sameKey] of Map.groupBy(received, (message) => message.key)) {
    expect(sameKey.map(({ id }) => id)).toEqual(published.filter((message) => message.key === key).map(({ id }) => id));
  }
}

async function opened(options: Partial<KafkaConnectionOptions> = {}): Promise<KafkaConnection> {
  const connection = await kafkaConnection({
    url: services.kafka.url,
    topic: { partitions: 4 },
    group: quickGroup,
    connectTimeout: 2_000,
    ...options,
  });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

function sample(id: string, key: string = "order-1"): Message {
  return createMessage({ id, key, source: "shop", content: "{}" });
}
