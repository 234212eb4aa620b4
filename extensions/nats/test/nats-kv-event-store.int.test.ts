import type { EventStore } from "event-driver";

import { natsKvEventStore, type NatsKvEventStoreOptions } from "@event-driver/nats/kv";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { createMessage, isRevisionConflict, type Message } from "event-driver";
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("nats", "toxiproxy");
const url = services.nats.url;

suite("NATS KV, and what is its own", () => {
  test("what was removed leaves nothing behind in the bucket", async () => {
    const { store, bucket } = await opened();
    await store.persist(entry("order-1"));
    await store.remove("order-1", "shop");

    expect((await (await manager()).streams.info(`KV_${bucket}`)).state.messages).toBe(0);
  });

  test("a client of NATS KV sees the entries, their revisions and their removals", async () => {
    const { store, bucket } = await opened();
    const client = await connect({ servers: url });
    onTestFinished(() => client.close());
    const kv = await new Kvm(client).open(bucket);

    const revision = await store.persist(entry("order 1"));
    const seen = await kv.get("=root.order=201.shop");
    await store.remove("order 1", "shop");

    expect(String(seen?.revision)).toBe(revision);
    expect(await kv.get("=root.order=201.shop")).toBeNull();
  });

  test("an entry that is written over is stored once", async () => {
    const { store, bucket } = await opened();
    for (let version = 0; version < 5; version += 1) await store.persist(entry("order-1"));

    expect((await (await manager()).streams.info(`KV_${bucket}`)).state.messages).toBe(1);
  });

  test("an entry past its expiresAt is kept for the grace, and has the broker's own lifetime", async () => {
    const { store, bucket } = await opened({ grace: 5_000 });
    await store.persist(entry("order-1"), { expiresAt: Date.now() + 10_000 });
    await store.persist(entry("order-2"), { expiresAt: Infinity });

    const streams = (await manager()).streams;
    const headers = await Promise.all(
      [1, 2].map(async (seq) => (await streams.getMessage(`KV_${bucket}`, { seq }))?.header.get("Nats-TTL")),
    );

    expect(headers).toEqual(["15s", ""]);
  });

  test("of 20 processes that increment one entry at the same time none is lost", async () => {
    const { bucket, store } = await opened();
    const stores = await Promise.all(Array.from({ length: 20 }, async () => (await opened({ bucket })).store));

    await Promise.all(stores.map(increment));

    expect((await store.lookUp("order-1", "shop"))?.message.content).toBe("20");
  });

  test("a bucket that is missing is an error with topology check, and nothing is made", async () => {
    const bucket = randomUUID();

    await expect(natsKvEventStore({ url, bucket, topology: "check" })).rejects.toMatchObject({ code: "ERR_STORE_FAILED", retryable: true });
    await expect((await manager()).streams.info(`KV_${bucket}`)).rejects.toThrow("stream not found");
  });

  test("a bucket with a history, or without lifetimes, is refused", async () => {
    const bucket = randomUUID();
    await (await manager()).streams.add({ name: `KV_${bucket}`, subjects: [`$KV.${bucket}.>`], max_msgs_per_subject: 5 });

    await expect(natsKvEventStore({ url, bucket })).rejects.toMatchObject({ code: "ERR_STORE_FAILED" });
  });

  test("a client that was given is not closed", async () => {
    const client = await connect({ servers: url });
    onTestFinished(() => client.close());
    const store = await natsKvEventStore({ connection: client, bucket: randomUUID() });
    await store.persist(entry("order-1"));

    await store.close();

    expect(client.isClosed()).toBe(false);
    await client.flush();
  });

  test("a write waits for a broker that is away, and is made once", async () => {
    const route = await toxicProxy(services.nats.url);
    onTestFinished(() => route.remove());
    const { store } = await opened({ url: route.url });
    const first = await store.persist(entry("order-1"));

    await route.cut();
    const writing = store.persist(entry("order-1"), { expected: first });
    await route.mend();
    const second = await writing;

    expect((await store.lookUp("order-1", "shop"))?.revision).toBe(second);
  });

  test("an operation fails as unavailable when the broker stays away for longer than the timeout", async () => {
    const route = await toxicProxy(services.nats.url);
    onTestFinished(() => route.remove());
    const { store } = await opened({ url: route.url, timeout: 200 });

    await route.cut();

    await expect(store.persist(entry("order-1"))).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
    await expect(store.lookUp("order-1", "shop")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  });

  test("what was stored is there after the broker was killed and started again", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    const { store } = await opened({ url: broker.url });
    const revisions = await Promise.all(
      Array.from({ length: 100 }, (_, index) => store.persist(entry(`order-${index}`), { dueAt: index })),
    );

    await broker.kill();
    await broker.restart();

    await vi.waitFor(async () => expect((await store.listDue({ before: 100, limit: 200 })).length).toBe(100), { timeout: 20_000 });
    expect((await store.lookUp("order-99", "shop"))?.revision).toBe(revisions[99]);
  });

  test.each([
    ["bucket", { bucket: "a.b" }],
    ["timeout", { timeout: 0 }],
    ["grace", { grace: -1 }],
    ["replicas", { replicas: 7 }],
    ["parallelReads", { parallelReads: 0 }],
  ])("a bad %s is refused by its name", async (option, options) => {
    await expect(natsKvEventStore({ url, bucket: "orders", ...options })).rejects.toMatchObject({
      code: "ERR_INVALID_OPTION",
      message: expect.stringContaining(`natsKvEventStore: ${option} is`),
    });
  });
});

async function increment(store: EventStore): Promise<void> {
  for (;;) {
    const found = await store.lookUp("order-1", "shop");
    const next = createMessage({ ...entry("order-1"), content: String(Number(found?.message.content ?? 0) + 1) });
    try {
      await store.persist(next, { expected: found?.revision ?? "absent" });
      return;
    } catch (error) {
      if (!isRevisionConflict(error)) throw error;
    }
  }
}

async function opened(options: Partial<NatsKvEventStoreOptions> = {}): Promise<{ readonly store: EventStore; readonly bucket: string }> {
  const { bucket = randomUUID() } = options;
  const store = await natsKvEventStore({ url, ...options, bucket });
  onTestFinished(() => store.close());
  return { store, bucket };
}

async function manager(): Promise<JetStreamManager> {
  const client = await connect({ servers: url });
  onTestFinished(() => client.close());
  return jetstreamManager(client);
}

function entry(key: string): Message<string> {
  return createMessage({ id: "1", key, source: "shop", content: "{}" });
}
