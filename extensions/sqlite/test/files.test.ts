import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createMessage, type EventStore, type Message } from "event-driver";
import { expect, onTestFinished, test, vi } from "vitest";
import { sqliteEventStore } from "@event-driver/sqlite";

import { migrations } from "../src/migrations.ts";
import { type Internals, openSqliteEventStore } from "../src/sqlite-event-store.ts";
import { temporaryFile } from "./temporary-file.ts";

const second = "ALTER TABLE entries ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'";

test("a file of an earlier version is migrated forward with all it holds", async () => {
  const file = temporaryFile();
  const old = opened(file);
  const revision = await old.persist(order("order-1"));
  await old.close();

  const store = opened(file, { migrations: [...migrations, second] });

  expect(await store.lookUp("order-1", "event1")).toMatchObject({ revision });
  await store.close();
  expect(query(file, "SELECT key, colour FROM entries")).toEqual([{ key: "order-1", colour: "blue" }]);
  expect(query(file, "PRAGMA user_version")).toEqual([{ user_version: 2 }]);
});

test("a migration that fails leaves the file at the version before it", async () => {
  const file = temporaryFile();
  const old = opened(file);
  await old.persist(order("order-1"));
  await old.close();

  expect(() => opened(file, { migrations: [...migrations, `${second}; SELECT 1 FROM nowhere`] })).toThrow("no such table");

  expect(query(file, "PRAGMA user_version")).toEqual([{ user_version: 1 }]);
  expect(await opened(file).lookUp("order-1", "event1")).toBeDefined();
});

test("a file of a newer version is refused and left as it was", async () => {
  const file = temporaryFile();
  await opened(file, { migrations: [...migrations, second] }).close();
  const before = contentsOf(file);

  expect(() => opened(file)).toThrow(
    expect.objectContaining({
      code: "ERR_STORE_VERSION",
      message: expect.stringContaining("is of schema version 2, this package knows up to 1"),
    }),
  );

  expect(contentsOf(file)).toEqual(before);
});

test("a newer version that stands in the log alone is refused, and file and log are left as they were", async () => {
  const original = temporaryFile();
  const file = temporaryFile();
  await opened(original).close();
  const newer = opened(original, { migrations: [...migrations, second] });
  for (const end of ["", "-wal"]) copyFileSync(`${original}${end}`, `${file}${end}`);
  const before = contentsOf(file);

  expect(() => opened(file)).toThrow(expect.objectContaining({ code: "ERR_STORE_VERSION" }));

  const { "orders.db": main, "orders.db-wal": log } = contentsOf(file);
  expect({ "orders.db": main, "orders.db-wal": log }).toEqual(before);
  await newer.close();
});

test("a file that is not a database is refused and left as it was", () => {
  const file = temporaryFile();
  writeFileSync(file, "order,total\n1,12\n".repeat(1000));
  const before = contentsOf(file);

  expect(() => opened(file)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_CORRUPT", retryable: false, message: expect.stringContaining("is not an SQLite database") }),
  );

  expect(contentsOf(file)).toEqual(before);
});

test.each(["delete", "wal"])("another application's database in journal mode %s is refused and left as it was", (mode) => {
  const file = temporaryFile();
  const other = new DatabaseSync(file);
  other.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE entries (id); INSERT INTO entries VALUES (1); PRAGMA user_version = 1`);
  other.close();
  const before = contentsOf(file);

  expect(() => opened(file)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_VERSION", message: expect.stringContaining("another application") }),
  );

  expect(contentsOf(file)).toEqual(before);
});

test("a file whose end is missing is refused as damaged", async () => {
  const file = temporaryFile();
  const whole = opened(file);
  await Promise.all(Array.from({ length: 100 }, (_, index) => whole.persist(order(`order-${index}`, "x".repeat(1000)))));
  await whole.close();
  writeFileSync(file, readFileSync(file).subarray(0, 20_000));

  expect(() => opened(file)).toThrow(expect.objectContaining({ code: "ERR_STORE_CORRUPT" }));
});

test("a path that cannot hold a file is refused", () => {
  const file = temporaryFile();
  mkdirSync(file);

  expect(() => opened(file)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_FAILED", message: expect.stringContaining("is not a file") }),
  );
  expect(() => opened(`${file}/missing/orders.db`)).toThrow(expect.objectContaining({ code: "ERR_STORE_FAILED" }));
});

test("when the disk is full a write fails retryably, what was there stays, and smaller ones go on when there is space", async () => {
  const file = temporaryFile();
  const store = opened(file, { maximumPages: 40 });
  await store.persist(order("order-1", "kept"));

  const tooMuch = Array.from({ length: 50 }, (_, index) => store.persist(order(`large-${index}`, "x".repeat(10_000))));
  const outcomes = await Promise.allSettled(tooMuch);
  const after = await store.persist(order("order-2"));

  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_FULL", retryable: true } });
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-1", "order-2"]);
  expect(await store.lookUp("order-2", "event1")).toMatchObject({ revision: after });
  expect(query(file, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
});

test("revisions reserved by a transaction that failed are not given out", async () => {
  const file = temporaryFile();
  const one = opened(file, { maximumPages: 40 });
  const tooMuch = await Promise.allSettled(
    Array.from({ length: 50 }, (_, index) => one.persist(order(`large-${index}`, "x".repeat(10_000)))),
  );
  const other = opened(file);

  const revisions = [await one.persist(order("order-1"))];
  for (let index = 0; index < 60; index += 1) revisions.push(await other.persist(order("order-2")));

  expect(tooMuch[0]).toMatchObject({ reason: { code: "ERR_STORE_FULL" } });
  expect(new Set(revisions).size).toBe(revisions.length);
});

const changes: readonly (readonly [what: string, change: (file: string) => void])[] = [
  ["deleted", (file) => rmSync(file)],
  ["moved", (file) => renameSync(file, `${file}.old`)],
  ["replaced", (file) => (writeFileSync(`${file}.new`, ""), renameSync(`${file}.new`, file))],
  ["deleted with its log", (file) => ["", "-wal", "-shm"].forEach((end) => rmSync(`${file}${end}`))],
  ["left without its log", (file) => rmSync(`${file}-wal`)],
  ["left without its log's index", (file) => rmSync(`${file}-shm`)],
  [
    "moved with its folder",
    (file) => (
      renameSync(dirname(file), `${dirname(file)}.old`),
      onTestFinished(() => rmSync(`${dirname(file)}.old`, { recursive: true }))
    ),
  ],
];

test.each(changes)("no write is acknowledged, and reads fail, once the file is %s", async (_, change) => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("order-1"));

  change(file);

  await expect(store.persist(order("order-2"))).rejects.toMatchObject({
    code: "ERR_STORE_FAILED",
    retryable: true,
    message: expect.stringContaining("was moved, replaced or deleted"),
  });
  await expect(store.lookUp("order-1", "event1")).rejects.toMatchObject({ code: "ERR_STORE_FAILED" });
});

test.each(changes)("no write is acknowledged when, long after anything else has changed, the file is %s", async (_, change) => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("order-1"));
  await vi.waitUntil(() => Date.now() - statSync(dirname(file)).ctimeMs > 60);
  for (const key of ["order-2", "order-3"]) await store.persist(order(key));

  change(file);

  await expect(store.persist(order("order-4"))).rejects.toMatchObject({ code: "ERR_STORE_FAILED", retryable: true });
});

test("a file that is put back is used again", async () => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("order-1"));
  renameSync(file, `${file}.old`);
  await expect(store.persist(order("order-2"))).rejects.toMatchObject({ code: "ERR_STORE_FAILED" });

  renameSync(`${file}.old`, file);
  await store.persist(order("order-3"));

  expect(await store.listKeys({ limit: 10 })).toContain("order-3");
});

test("closing after the file was replaced leaves the new one as it is", async () => {
  const file = temporaryFile();
  const store = opened(file);
  await store.persist(order("order-1"));
  for (const end of ["", "-wal", "-shm"]) renameSync(`${file}${end}`, `${file}.old${end}`);
  const replacement = opened(file);
  await replacement.persist(order("order-2"));

  await store.close();

  expect(existsSync(`${file}-wal`)).toBe(true);
  await replacement.persist(order("order-3"));
  expect(await replacement.listKeys({ limit: 10 })).toEqual(["order-2", "order-3"]);
});

function opened(file: string, internals: Internals = {}): EventStore {
  const options = { file, cleanUpInterval: false } as const;
  const store = Object.keys(internals).length === 0 ? sqliteEventStore(options) : openSqliteEventStore(options, internals);
  onTestFinished(() => store.close());
  return store;
}

function order(key: string, content = "{}"): Message {
  return createMessage({ id: `id of ${key}`, key, source: "event1", content });
}

function query(file: string, sql: string): readonly object[] {
  const reader = new DatabaseSync(file, { readOnly: true });
  try {
    return reader
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    reader.close();
  }
}

/** Every file beside the database, by name, so that one that came to be shows too. */
function contentsOf(file: string): Readonly<Record<string, Buffer>> {
  const folder = dirname(file);
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`)]));
}
