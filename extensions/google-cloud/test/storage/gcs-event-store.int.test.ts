import { createMessage, type EventStore, type Logger, type Message } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import type { FaultProxy, FaultRule, ProxiedRequest } from "../../../../test/fault-proxy.ts";

import { faultProxy } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { noGeneration } from "../../src/storage/bucket.ts";
import { bucketOn, newBucket, storageOn } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("objects", () => {
  test("are named after key and source, below the folder and the scope", async () => {
    const bucket = await newBucket();
    const store = storeOn({ bucket, folder: "/production/orders/" });

    await store.persist(order("order-1", "event1"));
    await store.scope("joiner").persist(order("a/b", ""));

    expect(await namesIn(bucket)).toEqual([
      "production/orders/entries/%root/order-1/event1",
      "production/orders/entries/joiner/a%2Fb/%empty",
    ]);
  });

  test("of one folder are out of reach from another", async () => {
    const bucket = await newBucket();
    const [one, other] = [storeOn({ bucket, folder: "a" }), storeOn({ bucket, folder: "a/b" })];

    await one.persist(order("order-1", "event1"), { dueAt: 1 });

    expect(await other.listKeys({ limit: 10 })).toEqual([]);
    expect(await other.listDue({ before: 1, limit: 10 })).toEqual([]);
    expect(await other.lookUp("order-1", "event1")).toBeUndefined();
  });

  test("say when they may go: by their custom time, which a lifecycle rule reads", async () => {
    const bucket = await newBucket();
    const store = storeOn({ bucket });

    await store.persist(order("order-1", "event1"), { expiresAt: 1_000 });
    await store.persist(order("order-1", "event2"), { expiresAt: 1_000, dueAt: 5_000 });
    await store.persist(order("order-1", "event3"), { dueAt: 5_000 });

    const [files] = await storageOn().bucket(bucket).getFiles();
    expect(files.map(({ name, metadata }) => [name.split("/")[0], metadata.customTime])).toEqual([
      ["due", "1970-01-01T00:00:05Z"],
      ["due", undefined],
      ["entries", "1970-01-01T00:00:01Z"],
      ["entries", "1970-01-01T00:00:01Z"],
      ["entries", undefined],
    ]);
  });

  test("that one compressor has written are read with another", async () => {
    const bucket = await newBucket();
    const content = "€uro".repeat(1_000);
    for (const compressor of ["none", "gzip", "brotli", "zstd"] as const) {
      await storeOn({ bucket, compressor }).persist(order("order-1", compressor, content));
    }

    const found = await storeOn({ bucket, compressor: "zstd" }).lookUpByKey("order-1");

    expect(found.map(({ message }) => message.content)).toEqual([content, content, content, content]);
    const [files] = await storageOn().bucket(bucket).getFiles();
    const sizes = Object.fromEntries(files.map(({ name, metadata }) => [name.split("/").at(-1), Number(metadata.size)]));
    expect(sizes["none"]).toBeGreaterThan(6_000);
    for (const compressor of ["gzip", "brotli", "zstd"]) expect(sizes[compressor]).toBeLessThan(300);
  });

  test("that hold more than they may are neither written nor read", async () => {
    const bucket = await newBucket();
    const limited = storeOn({ bucket, maxContentBytes: 10, compressor: "gzip" });
    await storeOn({ bucket, compressor: "gzip" }).persist(order("order-1", "event1", "x".repeat(1_000_000)));

    const tooLarge = { code: "ERR_TOO_LARGE", retryable: false };
    await expect(limited.lookUp("order-1", "event1")).rejects.toMatchObject(tooLarge);
    await expect(limited.persist(order("order-1", "event2", "x".repeat(11)))).rejects.toMatchObject(tooLarge);
    expect((await limited.listSourcesByKey("order-1")).length).toBe(1);
  });

  test("that something else has written are damaged entries, and are not listed where their name is no entry's", async () => {
    const bucket = await newBucket();
    const store = storeOn({ bucket });
    for (const name of ["entries/%root/order-1/event1", "entries/%root/order-1/deeper/event1"]) {
      await bucketOn(bucket).put({ name, bytes: Buffer.from("hello"), expected: noGeneration });
    }

    await expect(store.lookUp("order-1", "event1")).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT", retryable: true });
    expect(await store.listSourcesByKey("order-1")).toEqual(["event1"]);
  });

  test("that do not come as their checksum says are not taken for what was stored", async () => {
    const bucket = await newBucket();
    const proxy = await newProxy();
    proxy.answer({
      when: isDownload,
      status: 200,
      headers: { "x-goog-generation": "1", "x-goog-hash": "crc32c=AAAAAA==" },
      body: "cut off",
    });

    await expect(storeOn({ bucket, apiEndpoint: proxy.url }).lookUp("order-1", "event1")).rejects.toMatchObject({
      code: "ERR_STORE_CORRUPT",
      retryable: true,
    });
  });

  test("with names that are too long are listed by what they hold", async () => {
    const store = storeOn({ bucket: await newBucket() });
    const [key, source] = ["k".repeat(10_000), "s".repeat(10_000)];

    await store.persist(order(key, source), { dueAt: 1 });

    expect(await store.listKeys({ limit: 10 })).toEqual([key]);
    expect(await store.listSourcesByKey(key)).toEqual([source]);
    expect(await store.listDue({ before: 1, limit: 10 })).toEqual([{ dueAt: 1, key, source }]);
  });
});

suite("deadlines", () => {
  test("that count no more are dropped by whoever finds them", async () => {
    const bucket = await newBucket();
    const store = storeOn({ bucket });
    const first = await store.persist(order("order-1", "event1"), { dueAt: 1 });
    await store.persist(order("order-1", "event1"), { dueAt: 2, expected: first });
    expect((await deadlinesIn(bucket)).length).toBe(2);

    const due = await store.listDue({ before: 10, limit: 10 });

    expect(due.map(({ dueAt }) => dueAt)).toEqual([2]);
    expect((await deadlinesIn(bucket)).length).toBe(1);
  });

  test.each([
    ["where nothing is stored", undefined],
    ["over another entry", "first"],
  ])("of a write that is still on its way are not dropped, and count when it has landed: %s", async (_where, existing) => {
    const bucket = await newBucket();
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    const store = storeOn({ bucket });
    const expected = existing === undefined ? "absent" : await store.persist(order("order-1", "event1", existing), { dueAt: 5 });
    const held = proxy.answer({ when: ({ path }) => path.includes("name=entries"), delay: 1 });

    const landing = storeOn({ bucket, apiEndpoint: proxy.url }).persist(order("order-1", "event1", "second"), { dueAt: 1, expected });
    await vi.waitUntil(() => held.hits === 1);
    const before = await store.listDue({ before: 1, limit: 10 });
    await clock.advance(1);
    await landing;

    expect(before).toEqual([]);
    expect(await store.listDue({ before: 10, limit: 10 })).toEqual([{ dueAt: 1, key: "order-1", source: "event1" }]);
  });

  test("of a process that stood still for half an hour count when its write lands", async () => {
    const bucket = await newBucket();
    const clock = virtualClock();
    const [proxy, later] = [await newProxy(clock), await newProxy()];
    const held = proxy.answer({ when: ({ path }) => path.includes("name=entries"), delay: 1 });

    const landing = storeOn({ bucket, apiEndpoint: proxy.url }).persist(order("order-1", "event1"), { dueAt: 1 });
    await vi.waitUntil(() => held.hits === 1);
    later.answer(await listedLater(bucket, 1_800_000));
    const before = await storeOn({ bucket, apiEndpoint: later.url }).listDue({ before: 1, limit: 10 });
    await clock.advance(1);
    await landing;

    expect(before).toEqual([]);
    expect(await storeOn({ bucket }).listDue({ before: 1, limit: 10 })).toEqual([{ dueAt: 1, key: "order-1", source: "event1" }]);
  });

  test("of a write that never landed lead nowhere, and are dropped when it cannot come any more", async () => {
    const bucket = await newBucket();
    const proxy = await newProxy();
    proxy.answer({ when: ({ path }) => path.includes("name=entries"), cut: "before" });
    const crashing = storeOn({ bucket, apiEndpoint: proxy.url, retry: { autoRetry: false } });
    await expect(crashing.persist(order("order-1", "event1"), { dueAt: 1 })).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });

    expect(await storeOn({ bucket }).listDue({ before: 1, limit: 10 })).toEqual([]);
    expect((await deadlinesIn(bucket)).length).toBe(1);
    proxy.answer(await listedLater(bucket, 7_200_000));
    expect(await crashing.listDue({ before: 1, limit: 10 })).toEqual([]);
    expect((await deadlinesIn(bucket)).length).toBe(0);
  });

  test("that are not due yet are not even listed", async () => {
    const proxy = await newProxy();
    const store = storeOn({ bucket: await newBucket(), apiEndpoint: proxy.url });
    await Promise.all(Array.from({ length: 20 }, (_, index) => store.persist(order(`order-${index}`, "event1"), { dueAt: 1_000 + index })));
    const from = proxy.requests.length;

    expect(await store.listDue({ before: 999, limit: 10 })).toEqual([]);

    expect(proxy.requests.length - from).toBe(1);
  });

  test("that cannot be dropped are reported to the logger, and to nobody else", async () => {
    const bucket = await newBucket();
    const proxy = await newProxy();
    proxy.answer({ when: ({ method }) => method === "DELETE", status: 403 });
    const warn = vi.fn<Logger["warn"]>();
    const store = storeOn({ bucket, apiEndpoint: proxy.url, logger: { debug() {}, info() {}, error() {}, warn } });
    await store.persist(order("order-1", "event1"), { dueAt: 1 });
    await store.persist(order("order-1", "event1"));

    expect(await store.listDue({ before: 1, limit: 10 })).toEqual([]);

    expect(warn).toHaveBeenCalledOnce();
  });
});

suite("an entry whose removal was cut short, on a service that does not remove conditionally", () => {
  test("is absent for every read and list, and can be written anew", async () => {
    const { store } = await withTombstone();

    expect(await store.lookUp("order-1", "event1")).toBeUndefined();
    expect(await store.lookUpByKey("order-1")).toEqual([]);
    expect(await store.listSourcesByKey("order-1")).toEqual([]);
    expect(await store.listKeys({ limit: 10 })).toEqual([]);
    expect(await store.listDue({ before: 10, limit: 10 })).toEqual([]);
    await store.remove("order-1", "event1");
    await store.remove("order-1", "event1", { expected: "12345" });
    const revision = await store.persist(order("order-1", "event1", "anew"), { expected: "absent" });
    expect(await store.lookUp("order-1", "event1")).toMatchObject({ revision, message: { content: "anew" } });
  });

  test("is no entry that anyone replaces", async () => {
    const { store, revision } = await withTombstone();

    await expect(store.persist(order("order-1", "event1"), { expected: revision })).rejects.toMatchObject({
      code: "ERR_REVISION_CONFLICT",
    });
    await store.persist(order("order-1", "event1", "anything"));

    expect((await store.lookUp("order-1", "event1"))?.message.content).toBe("anything");
  });

  test("may be collected at once", async () => {
    const { bucket } = await withTombstone();

    const [metadata] = await storageOn().bucket(bucket).file("entries/%root/order-1/event1").getMetadata();

    expect(Date.parse(metadata.customTime ?? "")).toBeLessThanOrEqual(Date.now());
  });
});

suite("reading many entries", () => {
  test("never has more underway than parallelReads", async () => {
    const bucket = await newBucket();
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    await Promise.all(Array.from({ length: 10 }, (_, index) => storeOn({ bucket }).persist(order("order-1", `event${index}`))));
    const held = proxy.answer({ when: isDownload, delay: 1 });

    const found = storeOn({ bucket, apiEndpoint: proxy.url, parallelReads: 4 }).lookUpByKey("order-1");
    const underway: number[] = [];
    for (const hits of [4, 8, 10]) {
      await vi.waitUntil(() => held.hits === hits);
      underway.push(clock.pending);
      await clock.advance(1);
    }

    expect((await found).length).toBe(10);
    expect(underway).toEqual([4, 4, 2]);
  });

  test("fails when one of them does", async () => {
    const proxy = await newProxy();
    const store = await withTwoEntries(proxy);
    proxy.answer({ when: isDownload, status: 503, times: 1 });

    await expect(store.lookUpByKey("order-1")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  });

  test("is given up at once when the signal aborts", async () => {
    const proxy = await newProxy();
    const store = await withTwoEntries(proxy);
    const held = proxy.answer({ when: isDownload, delay: 1 });
    const controller = new AbortController();
    const reason = new Error("given up");

    const reading = store.lookUpByKey("order-1", { signal: controller.signal });
    await vi.waitUntil(() => held.hits === 2);
    controller.abort(reason);

    await expect(reading).rejects.toBe(reason);
  });
});

async function withTwoEntries(proxy: FaultProxy): Promise<EventStore> {
  const store = storeOn({ bucket: await newBucket(), apiEndpoint: proxy.url, retry: { autoRetry: false } });
  for (const source of ["event1", "event2"]) await store.persist(order("order-1", source));
  return store;
}

async function withTombstone(): Promise<{ readonly bucket: string; readonly store: EventStore; readonly revision: string }> {
  const bucket = await newBucket();
  const proxy = await newProxy();
  proxy.answer({ when: ({ method }) => method === "DELETE", status: 429 });
  const crashing = storeOn({ bucket, apiEndpoint: proxy.url, retry: { autoRetry: false } });
  const revision = await crashing.persist(order("order-1", "event1"), { dueAt: 1 });
  await crashing.remove("order-1", "event1", { expected: revision });
  return { bucket, store: storeOn({ bucket }), revision };
}

function storeOn(options: GcsEventStoreOptions): GcsEventStore {
  const store = gcsEventStore({ apiEndpoint: services.gcs.url, ...options });
  onTestFinished(() => store.close());
  return store;
}

async function newProxy(clock = virtualClock()): Promise<FaultProxy> {
  const proxy = await faultProxy({ upstream: services.gcs.url, clock });
  onTestFinished(() => proxy.close());
  return proxy;
}

async function namesIn(bucket: string): Promise<readonly string[]> {
  const [files] = await storageOn().bucket(bucket).getFiles();
  return files.map(({ name }) => name);
}

async function deadlinesIn(bucket: string): Promise<readonly string[]> {
  return (await namesIn(bucket)).filter((name) => name.startsWith("due/"));
}

/** Answers lists as the service does now, with the date of so many milliseconds later. */
async function listedLater(bucket: string, delay: number): Promise<FaultRule> {
  const path = `/storage/v1/b/${bucket}/o`;
  const answer = await fetch(`${services.gcs.url}${path}`);
  const headers = { "content-type": "application/json", date: new Date(Date.now() + delay).toUTCString() };
  return { when: (request) => request.path.startsWith(`${path}?`), status: 200, headers, body: await answer.text() };
}

function isDownload({ path }: ProxiedRequest): boolean {
  return path.includes("alt=media");
}

function order(key: string, source: string, content = "{}"): Message {
  return createMessage({ id: "o-1", key, source, content });
}
