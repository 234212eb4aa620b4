import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import fc from "fast-check";
import { createMessage, systemClock, type EventStore, type Message } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { expect, onTestFinished, test } from "vitest";
import { sqliteEventStore } from "@event-driver/sqlite";

import { holdLock } from "./hold-lock.ts";
import { temporaryFile } from "./temporary-file.ts";

test.each([
  ["file", { file: "" }, 'file is "", allowed is the path of a file'],
  ["file", { file: ":memory:" }, "take memoryEventStore"],
  ["busyTimeout", { file: "orders.db", busyTimeout: -1 }, "busyTimeout is -1, allowed is milliseconds from 0"],
  ["cleanUpInterval", { file: "orders.db", cleanUpInterval: 0 }, "cleanUpInterval is 0, allowed is milliseconds above 0, or false"],
])("a bad option is refused with what was given and what is allowed: %s", (_, options, said) => {
  expect(() => sqliteEventStore(options)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(said) }),
  );
});

test("any message, key, source and scope is found again after the file was closed and opened", async () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("", "\0", "\ud800", "a\udfff\0b", "👩‍🚀", "/", "__proto__", "k".repeat(2000)),
  );
  const message = fc.record({
    id: text,
    key: text,
    source: text,
    content: fc.oneof(text, fc.uint8Array()),
    attributes: fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "constructor")), text),
  });
  const file = temporaryFile();

  await fc.assert(
    fc.asyncProperty(message, fc.option(text, { nil: undefined }), text, async (init, origin, scope) => {
      const given = createMessage({ ...init, ...(origin !== undefined && { origin }) });
      const first = sqliteEventStore({ file });
      const revision = await first.scope(scope).persist(given);
      await first.close();

      const second = sqliteEventStore({ file });
      const found = await second.scope(scope).lookUp(given.key, given.source);
      const keys = await second.scope(scope).listKeys({ limit: 1000 });
      await second.close();

      expect(found).toMatchObject({ revision });
      expect(found?.message).toEqual(given);
      expect(Object.getPrototypeOf(found?.message.attributes)).toBeNull();
      expect(keys).toContain(given.key);
    }),
    { numRuns: 60 },
  );
});

test("a text and the bytes that stand for it in the file are two keys", async () => {
  const store = opened(temporaryFile());

  await store.persist(order("\ud800", "half a pair"));
  await store.persist(order("\u00d8", "a letter"));
  await store.persist(order("\ufffd", "the replacement character"));

  expect((await store.lookUp("\ud800", "event1"))?.message.content).toBe("half a pair");
  expect((await store.lookUp("\ufffd", "event1"))?.message.content).toBe("the replacement character");
});

test("a revision is not used again after a restart", async () => {
  const file = temporaryFile();
  const first = opened(file);
  const before = await first.persist(order("order-1"));
  await first.remove("order-1", "event1");
  await first.close();

  const second = opened(file);
  const after = await second.persist(order("order-1"));

  expect(after).not.toBe(before);
  await expect(second.persist(order("order-1"), { expected: before })).rejects.toMatchObject({ code: "ERR_REVISION_CONFLICT" });
});

test("content that is neither text nor bytes is refused, and the writes of its group are not", async () => {
  const store = opened(temporaryFile());
  const parsed: unknown = JSON.parse('{"total":12}');

  const outcomes = await Promise.allSettled([
    store.persist(order("order-1")),
    persistUnchecked(store, { ...order("order-2"), content: parsed }),
    store.persist(order("order-3"), { dueAt: Number.NaN }),
    store.persist(order("order-4")),
  ]);

  expect(outcomes).toMatchObject([
    { status: "fulfilled" },
    { reason: { code: "ERR_INVALID_MESSAGE" } },
    { reason: { code: "ERR_INVALID_OPTION" } },
    { status: "fulfilled" },
  ]);
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-1", "order-4"]);
});

test("writes issued together share one commit, which a conflict of one of them does not undo", async () => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("taken"));
  const before = commitsOf(file);

  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 64 }, (_, index) => store.persist(order(`order-${index}`))),
    store.persist(order("taken"), { expected: "absent" }),
  ]);

  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
  expect(outcomes.at(-1)).toMatchObject({ reason: { code: "ERR_REVISION_CONFLICT" } });
  expect(commitsOf(file) - before).toBe(1);
});

test("while another process holds the lock, reads are answered and writes wait and then share one commit", async () => {
  const { store, file, clock } = await waitingStore();
  const release = holdLock(file);

  const early = store.persist(order("order-1"));
  await clock.advance(50);
  const late = store.persist(order("order-2"));
  await clock.advance(50);
  const meanwhile = await store.listKeys({ limit: 10 });
  const before = commitsOf(file);
  release();
  await clock.advance(20);
  await Promise.all([early, late]);

  expect(meanwhile).toEqual(["order-0"]);
  expect(commitsOf(file) - before).toBe(1);
});

test("a write that meets a lock for longer than busyTimeout fails retryably and is not made later", async () => {
  const { store, file, clock } = await waitingStore();
  const release = holdLock(file);

  const write = Promise.allSettled([store.persist(order("order-1"))]);
  await clock.advance(1_100);
  release();
  const [outcome] = await write;
  await store.persist(order("order-2"));

  expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE", retryable: true } });
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-0", "order-2"]);
});

test("a write that is aborted while it waits rejects at once with the signal's reason and is not made", async () => {
  const { store, file, clock } = await waitingStore();
  const release = holdLock(file);
  const controller = new AbortController();
  const reason = new Error("no longer wanted");

  const write = Promise.allSettled([store.persist(order("order-1"), { signal: controller.signal })]);
  await clock.advance(50);
  controller.abort(reason);
  const [outcome] = await write;
  release();
  await clock.advance(50);
  await store.persist(order("order-2"));

  expect(outcome).toEqual({ status: "rejected", reason });
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-0", "order-2"]);
});

test("a write that is aborted before its group is committed is not made", async () => {
  const store = opened(temporaryFile());
  const controller = new AbortController();
  const reason = new Error("no longer wanted");

  const outcomes = Promise.allSettled([store.persist(order("order-1"), { signal: controller.signal }), store.persist(order("order-2"))]);
  controller.abort(reason);

  expect(await outcomes).toMatchObject([{ status: "rejected", reason }, { status: "fulfilled" }]);
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-2"]);
});

test("a store opened while another process creates the file goes on as soon as that is done", async () => {
  const file = temporaryFile();
  const clock = virtualClock();
  const release = holdLock(file);
  const store = opened(file, { clock });

  const write = store.persist(order("order-1"));
  const reads = Promise.all([store.listDue({ before: 1, limit: 1 }), store.lookUp("order-2", "event1")]);
  await clock.advance(50);
  release();
  await clock.advance(50);

  await expect(write).resolves.toEqual(expect.any(String));
  await expect(reads).resolves.toEqual([[], undefined]);
});

test("reads are answered while another process holds the write lock", async () => {
  const { store, file } = await waitingStore();
  const release = holdLock(file);

  await expect(store.lookUp("order-0", "event1")).resolves.toMatchObject({ message: { key: "order-0" } });
  await expect(store.lookUpByKey("order-0")).resolves.toHaveLength(1);
  await expect(store.listDue({ before: 1, limit: 1 })).resolves.toEqual([]);
  release();
});

test("reads that are asked for together are made together, at one time", async () => {
  let time = 0;
  const store = opened(temporaryFile(), { clock: { ...systemClock, now: () => (time += 1) } });
  await Promise.all([store.persist(order("order-1")), store.persist(order("order-2"))]);

  const [one, two] = await Promise.all([store.lookUp("order-1", "event1"), store.lookUp("order-2", "event1")]);
  const later = await store.lookUp("order-1", "event1");

  expect(one?.readAt).toBeGreaterThan(one?.storedAt ?? Infinity);
  expect(two?.readAt).toBe(one?.readAt);
  expect(later?.readAt).toBeGreaterThan(two?.readAt ?? Infinity);
});

test("a read that fails does so alone, and those asked for with it are answered", async () => {
  const store = opened(temporaryFile());
  await store.persist(order("order-1"));

  const outcomes = await Promise.allSettled([
    store.lookUp("order-1", "event1"),
    store.listKeys({ limit: 0 }),
    store.listKeys({ limit: 1 }),
  ]);
  await store.persist(order("order-2"));

  expect(outcomes).toMatchObject([
    { status: "fulfilled", value: { message: { key: "order-1" } } },
    { status: "rejected", reason: { code: "ERR_INVALID_OPTION" } },
    { status: "fulfilled", value: ["order-1"] },
  ]);
});

test("a read that is aborted as soon as it was asked for rejects with the signal's reason", async () => {
  const store = opened(temporaryFile());
  const controller = new AbortController();
  const reason = new Error("no longer wanted");

  const outcomes = Promise.allSettled([store.lookUp("order-1", "event1", { signal: controller.signal }), store.listKeys({ limit: 1 })]);
  controller.abort(reason);

  expect(await outcomes).toEqual([
    { status: "rejected", reason },
    { status: "fulfilled", value: [] },
  ]);
});

test("closing answers the reads that were asked for before", async () => {
  const store = opened(temporaryFile());
  await store.persist(order("order-1"));

  const reads = Promise.all([store.listKeys({ limit: 1 }), store.listSourcesByKey("order-1")]);
  await store.close();

  await expect(reads).resolves.toEqual([["order-1"], ["event1"]]);
});

test("closing moves everything into the one file", async () => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("order-1"));

  await store.close();

  expect(readdirSync(dirname(file))).toEqual([basename(file)]);
});

/** As a caller without types may do it. */
function persistUnchecked({ persist }: { readonly persist: (message: never) => Promise<string> }, message: object): Promise<unknown> {
  return Reflect.apply(persist, undefined, [message]);
}

async function waitingStore(): Promise<{ store: EventStore; file: string; clock: ReturnType<typeof virtualClock> }> {
  const file = temporaryFile();
  const clock = virtualClock();
  const store = opened(file, { clock, busyTimeout: 1_000 });
  await store.persist(order("order-0"));
  return { store, file, clock };
}

function opened(file: string, options: Partial<Parameters<typeof sqliteEventStore>[0]> = {}): EventStore {
  const store = sqliteEventStore({ file, cleanUpInterval: false, random: () => 0.5, ...options });
  onTestFinished(() => store.close());
  return store;
}

function order(key: string, content = "{}"): Message {
  return createMessage({ id: `id of ${key}`, key, source: "event1", content });
}

/** How many commits the log holds: its frames that end one, by https://www.sqlite.org/fileformat2.html#walformat. */
function commitsOf(file: string): number {
  const log = readFileSync(`${file}-wal`);
  const frameSize = 24 + log.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at + frameSize <= log.length; at += frameSize) {
    const isOfThisLog = log.compare(log, 16, 24, at + 8, at + 16) === 0;
    if (isOfThisLog && log.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}
