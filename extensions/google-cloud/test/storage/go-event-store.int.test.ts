import { createMessage, type EventStore, idempotency, joiner, matchAll, type Message } from "event-driver";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import { faultProxy, type ProxiedRequest } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { hurried, newBucket, storageOn } from "./emulated-bucket.ts";
import { bucketWith, goObjects, GoService, nextMillisecond } from "./go-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("a store in the layout of Go", () => {
  describe.each(["none", "gzip"] as const)("on a bucket that the Go original wrote, compressor %s", (compressor) => {
    test("reads every key, source and content", async () => {
      const objects = goObjects(compressor);
      const store = storeOn(await bucketWith(objects), { compressor });

      expect(await store.listKeys({ limit: 10 })).toEqual(["bestellung ü", "order-1", "order-2", "order-3"]);
      expect(await store.listSourcesByKey("order-1")).toEqual(["event1", "event2"]);
      expect(contentsOf(await store.lookUpByKey("order-1"))).toEqual({
        event1: "",
        event2: '{"total": 1.10, "number": 12345678901234567890}',
      });
      expect((await store.lookUp("bestellung ü", "événement+3"))?.message.content).toBe("naïve €uro 😀");
      expect((await store.lookUp("order-3", "event3"))?.message.content).toEqual(Uint8Array.of(0xff, 0xfe, 0));
    });

    test("reads of several contents the one that its policy chooses", async () => {
      const bucket = await bucketWith(goObjects(compressor));
      const policies = [
        "firstCreated",
        "lastCreated",
        (objects) => objects[1] ?? objects[0],
      ] as const satisfies GcsEventStoreOptions["readPolicy"][];

      for (const [index, content] of ["first", "third", "second"].entries()) {
        const store = storeOn(bucket, { compressor, readPolicy: policies[index] ?? "firstCreated" });
        expect((await store.lookUp("order-2", "event2"))?.message.content).toBe(content);
        expect(contentsOf(await store.lookUpByKey("order-2"))).toEqual({ event1: "", event2: content });
      }
    });

    test("gives a message an id that stays the same", async () => {
      const objects = goObjects(compressor);
      const [one, another] = [await bucketWith(objects), await bucketWith(objects, "moved/")];

      const read = await storeOn(one, { compressor }).lookUp("order-1", "event2");
      const moved = await storeOn(another, { compressor, folder: "/moved/" }).lookUp("order-1", "event2");

      expect(read?.message.id).toBe(objects[1]?.name);
      expect(moved?.message).toEqual(read?.message);
    });
  });

  test("writes what the Go original reads, by the same name and the same bytes", async () => {
    const bucket = await newBucket();
    const store = storeOn(bucket, { folder: "orders" });

    for (const { key, source, content } of goObjects("none")) await store.persist(messageOf({ key, source, content }));

    const [files] = await storageOn().bucket(bucket).getFiles();
    const written = await Promise.all(files.map(async (file) => [file.name, (await file.download())[0]] as const));
    expect(new Map(written)).toEqual(new Map(goObjects("none").map(({ name, stored }) => [`orders/${name}`, stored])));
  });

  test("writes gzip that the Go original reads", async () => {
    const bucket = await newBucket();
    const go = new GoService(bucket, { folder: "orders", gzip: true });

    await storeOn(bucket, { folder: "orders", compressor: "gzip" }).persist(messageOf({ content: "compressed" }));

    expect(await go.lookUp("order-1", "event1")).toBe("compressed");
    expect(await go.listSources("order-1")).toEqual(["event1"]);
  });

  test("brings back the event that it wrote, but for its attributes", async () => {
    const store = storeOn(await newBucket());
    const message = messageOf({
      id: "1",
      origin: "https://shop/orders",
      type: "created",
      time: "2026-01-01T00:00:00Z",
      attributes: { a: "b" },
    });

    const revision = await store.persist(message, { expiresAt: 4_000_000_000_000 });

    const entry = await store.lookUp("order-1", "event1");
    expect(entry).toMatchObject({ message: { ...message, attributes: {} }, revision, expiresAt: 4_000_000_000_000 });
    expect(entry?.readAt).toBeGreaterThanOrEqual(entry?.storedAt ?? Infinity);
    expect(await store.lookUpByKey("order-1")).toMatchObject([{ message: { id: "1" }, revision }]);
  });

  test("leaves the expiry to the bucket's lifecycle rule, by custom time", async () => {
    const bucket = await newBucket();

    await storeOn(bucket).persist(messageOf({}), { expiresAt: 4_000_000_000_000 });

    const [[file]] = await storageOn().bucket(bucket).getFiles();
    expect(file?.metadata.customTime).toBe("2096-10-02T07:06:40Z");
  });

  test("sees with its next read what was written or removed, also through another store", async () => {
    const bucket = await newBucket();
    const [one, other] = [storeOn(bucket, { readPolicy: "lastCreated" }), storeOn(bucket, { readPolicy: "lastCreated" })];

    for (const content of ["first", "second", "first"]) {
      await one.persist(messageOf({ content }));
      expect((await other.lookUp("order-1", "event1"))?.message.content).toBe(content);
      await nextMillisecond();
    }
    await other.remove("order-1", "event1");

    expect(await one.lookUp("order-1", "event1")).toBeUndefined();
    expect([await one.listSourcesByKey("order-1"), await one.listKeys({ limit: 1 })]).toEqual([[], []]);
  });

  test("keeps the first message of a source in the face of a later one, with the policy of the first", async () => {
    const store = storeOn(await newBucket());
    const first = await store.persist(messageOf({ id: "1", content: "first" }));
    await nextMillisecond();

    const second = await store.persist(messageOf({ id: "2", content: "second" }));

    expect(second).not.toBe(first);
    expect(await store.lookUp("order-1", "event1")).toMatchObject({ message: { id: "1", content: "first" }, revision: first });
  });

  test("writes over the same content anew, so that the event that came last is known by its id", async () => {
    const store = storeOn(await newBucket());
    const first = await store.persist(messageOf({ id: "1" }));

    const second = await store.persist(messageOf({ id: "2" }));

    expect(second).not.toBe(first);
    expect(await store.lookUp("order-1", "event1")).toMatchObject({ message: { id: "2" }, revision: second });
  });

  test("takes what comes at once, of the same content and of others, and leaves one of them whole", async () => {
    const store = storeOn(await newBucket());
    const messages = Array.from({ length: 12 }, (_, index) => messageOf({ id: `id-${index}`, content: `content ${index % 3}` }));

    const revisions = await Promise.all(messages.map((message) => store.persist(message)));

    const entry = await store.lookUp("order-1", "event1");
    const writer = messages[revisions.indexOf(entry?.revision ?? "none")];
    expect(new Set(revisions).size).toBe(12);
    expect(entry?.message).toMatchObject({ id: writer?.id, content: writer?.content });
  });

  test("looks at the revision that is expected", async () => {
    const store = storeOn(await newBucket(), { readPolicy: "lastCreated" });
    const revision = await store.persist(messageOf({}), { expected: "absent" });
    const conflict = { code: "ERR_REVISION_CONFLICT", key: "order-1", source: "event1" };

    await expect(store.persist(messageOf({}), { expected: "absent" })).rejects.toMatchObject(conflict);
    await expect(store.persist(messageOf({}), { expected: `${revision}0` })).rejects.toMatchObject(conflict);
    await expect(store.remove("order-1", "event1", { expected: `${revision}0` })).rejects.toMatchObject(conflict);
    await nextMillisecond();
    const next = await store.persist(messageOf({ content: "next" }), { expected: revision });
    await store.remove("order-1", "event1", { expected: next });

    expect(await store.lookUp("order-1", "event1")).toBeUndefined();
  });

  test("lists keys page by page, and those of its own folder alone", async () => {
    const bucket = await newBucket();
    const keys = ["a", "a.b", "a0", "b", "ä"];
    for (const key of keys) await storeOn(bucket, { folder: "orders" }).persist(messageOf({ key }));
    await storeOn(bucket, { folder: "orders-2" }).persist(messageOf({ key: "c" }));
    const store = storeOn(bucket, { folder: "orders" });

    const pages: string[] = [];
    for (let page = await store.listKeys({ limit: 2 }); page.length > 0;) {
      pages.push(...page);
      page = await store.listKeys({ limit: 2, after: page.at(-1) ?? "" });
    }

    expect(pages.toSorted()).toEqual(keys);
  });

  test("refuses a deadline rather than losing it", async () => {
    const store = storeOn(await newBucket());

    await expect(store.persist(messageOf({}), { dueAt: 1 })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", retryable: false });
    expect(await store.listDue({ before: Infinity, limit: 1 })).toEqual([]);
    expect(await store.lookUp("order-1", "event1")).toBeUndefined();
  });

  test("refuses a key and a source with a slash in it, and names it", async () => {
    const store = storeOn(await newBucket());
    const refusal = { code: "ERR_INVALID_MESSAGE", retryable: false, message: expect.stringContaining('key "order/1" has a slash in it') };

    for (const call of callsWith(store, "order/1")) await expect(call).rejects.toMatchObject(refusal);
  });

  test("serves one scope, which lies under the very names of the Go service", async () => {
    const bucket = await newBucket();
    const store = storeOn(bucket);

    await store.scope("joiner").persist(messageOf({ content: "kept" }));

    expect(await new GoService(bucket).lookUp("order-1", "event1")).toBe("kept");
    expect((await store.scope("joiner").lookUp("order-1", "event1"))?.message.content).toBe("kept");
    expect((await store.lookUp("order-1", "event1"))?.message.content).toBe("kept");
  });

  test("refuses a second scope, and a scope within one", async () => {
    const store = storeOn(await newBucket());
    const scope = store.scope("joiner");

    const taken = expect.objectContaining({ code: "ERR_SCOPE_TAKEN", message: expect.stringContaining('here that of scope "joiner"') });
    expect(() => store.scope("another")).toThrow(taken);
    expect(() => scope.scope("joiner")).toThrow(taken);
  });

  test("refuses two joiners, which would take each other's messages for their own", async () => {
    const store = storeOn(await newBucket());
    const claims = gcsEventStore({ bucket: await newBucket(), apiEndpoint: services.gcs.url });
    const condition = matchAll("event1");
    joiner({ store, claims, condition, scope: "one" });

    expect(() => joiner({ store, claims, condition, scope: "two" })).toThrow(expect.objectContaining({ code: "ERR_SCOPE_TAKEN" }));
  });

  test("handlers that claim refuse to start on it, and say what to give them", async () => {
    const store = storeOn(await newBucket());
    const condition = matchAll("event1");

    expect(() => joiner({ store, condition })).toThrow(
      expect.objectContaining({ code: "ERR_UNSUPPORTED", message: expect.stringContaining("claims") }),
    );
    expect(() => idempotency({ store })).toThrow(
      expect.objectContaining({ code: "ERR_UNSUPPORTED", message: expect.stringContaining("compare and set") }),
    );
    expect(() => joiner({ store, condition, emit: "each" })).not.toThrow();
  });

  test("rejects calls when it is closed, those on its scope too", async () => {
    const store = storeOn(await newBucket());
    const scope = store.scope("joiner");
    await scope.close();
    await store.persist(messageOf({}));

    await store.close();

    for (const call of [...callsWith(store, "order-1"), ...callsWith(scope, "order-1"), store.listDue({ before: 1, limit: 1 })]) {
      await expect(call).rejects.toMatchObject({ code: "ERR_STORE_CLOSED", retryable: true });
    }
  });

  test("a write whose answer is lost is known for its own, and not made anew", async () => {
    const proxy = await proxied();
    const store = gcsEventStore({ bucket: await newBucket(), apiEndpoint: proxy.url, layout: "go", clock: hurried });
    const isWrite = ({ method }: ProxiedRequest): boolean => method === "POST";
    proxy.answer({ cut: "after", when: isWrite, times: 1 });

    const revision = await store.persist(messageOf({ id: "1" }));

    expect(proxy.requests.filter(isWrite)).toHaveLength(2);
    expect(await store.lookUp("order-1", "event1")).toMatchObject({ message: { id: "1" }, revision });
  });

  test.each<[string, (store: EventStore) => Promise<unknown>, object]>([
    ["persist", (store) => store.persist(messageOf({ source: "new" })), { POST: 1 }],
    ["persist of a content that is there", (store) => store.persist(messageOf({})), { POST: 2, GET: 1 }],
    ["lookUp", (store) => store.lookUp("order-1", "event1"), { list: 1, GET: 1 }],
    ["lookUp of what is not there", (store) => store.lookUp("order-1", "new"), { list: 1 }],
    ["lookUpByKey of three sources", (store) => store.lookUpByKey("order-1"), { list: 1, GET: 3 }],
    ["listSourcesByKey", (store) => store.listSourcesByKey("order-1"), { list: 1 }],
    ["listKeys", (store) => store.listKeys({ limit: 10 }), { list: 1 }],
    ["remove of a source with two contents", (store) => store.remove("order-1", "event1"), { list: 1, DELETE: 2 }],
  ])("asks of the service: %s", async (_call, call, expected) => {
    const proxy = await proxied();
    const store = gcsEventStore({ bucket: await newBucket(), apiEndpoint: proxy.url, layout: "go" });
    for (const source of ["event1", "event2", "event3"]) await store.persist(messageOf({ source }));
    await store.persist(messageOf({ content: "another" }));
    const from = proxy.requests.length;

    await call(store);

    const kinds = proxy.requests.slice(from).map(({ method, path }) => (method === "GET" && !path.includes("/o/") ? "list" : method));
    expect(Object.fromEntries(kinds.map((kind) => [kind, kinds.filter((each) => each === kind).length]))).toEqual(expected);
  });
});

function storeOn(bucket: string, options: Partial<GcsEventStoreOptions> = {}): GcsEventStore {
  return gcsEventStore({ bucket, apiEndpoint: services.gcs.url, layout: "go", ...options });
}

function messageOf(parts: Partial<Message>): Message {
  return createMessage({ id: "id-1", key: "order-1", source: "event1", content: "content", ...parts });
}

function contentsOf(entries: Awaited<ReturnType<EventStore["lookUpByKey"]>>): object {
  return Object.fromEntries(entries.map(({ message }) => [message.source, message.content]));
}

function callsWith(store: EventStore, key: string): readonly Promise<unknown>[] {
  return [
    store.persist(messageOf({ key })),
    store.lookUp(key, "event1"),
    store.lookUpByKey(key),
    store.listSourcesByKey(key),
    store.remove(key, "event1"),
    store.listKeys({ limit: 1, after: key }),
  ];
}

async function proxied(): ReturnType<typeof faultProxy> {
  const proxy = await faultProxy({ upstream: services.gcs.url });
  onTestFinished(() => proxy.close());
  return proxy;
}
