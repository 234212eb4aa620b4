import { createMessage, type EventStore, type Logger } from "event-driver";
import { type VirtualClock, virtualClock } from "event-driver/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { sqliteEventStore, type SqliteEventStoreOptions } from "@event-driver/sqlite";

import { holdLock } from "./hold-lock.ts";
import { temporaryFile } from "./temporary-file.ts";

test("expired entries go in the background, more than one step of them, and no others", async () => {
  const { store, clock } = openedAt(1_000, { cleanUpInterval: 500 });
  await Promise.all(Array.from({ length: 250 }, (_, index) => persist(store, `gone-${index}`, 1_500)));
  await persist(store, "stays", 1_501);
  await persist(store, "stays too");

  await clock.advance(499);
  const before = await store.listKeys({ limit: 300 });
  await clock.advance(1);
  while ((await store.listKeys({ limit: 3 })).length > 2) await clock.advance(0);

  expect(before).toHaveLength(252);
  expect(await store.listKeys({ limit: 300 })).toEqual(["stays", "stays too"]);
});

test("removal goes round after round", async () => {
  const { store, clock } = openedAt(1_000, { cleanUpInterval: 500 });
  const removed: string[] = [];

  for (const round of [1, 2, 3]) {
    await persist(store, `order-${round}`, clock.now() + 100);
    await clock.advance(500);
    while ((await store.listKeys({ limit: 1 })).length > 0) await clock.advance(0);
    removed.push(`order-${round}`);
  }

  expect(removed).toEqual(["order-1", "order-2", "order-3"]);
});

test("without cleanUpInterval nothing is removed, and no timer is set", async () => {
  const { store, clock } = openedAt(1_000, { cleanUpInterval: false });
  await persist(store, "order-1", 1_500);

  await clock.advance(1_000_000);

  expect(clock.pending).toBe(0);
  expect(await store.listKeys({ limit: 10 })).toEqual(["order-1"]);
});

test("a round that fails is logged, and the next one removes", async () => {
  const warn = vi.fn<Logger["warn"]>();
  const { store, clock, file } = openedAt(1_000, { cleanUpInterval: 500, busyTimeout: 100, logger: { ...silent, warn } });
  await persist(store, "order-1", 1_500);
  const release = holdLock(file);

  await clock.advance(900);
  while (warn.mock.calls.length === 0) await clock.advance(10);
  release();
  await clock.advance(500);
  while ((await store.listKeys({ limit: 1 })).length > 0) await clock.advance(0);

  expect(warn.mock.calls[0]?.[0]).toMatchObject({ error: { code: "ERR_STORE_UNAVAILABLE" }, file });
});

test("where nothing has expired, the write lock is left to others", async () => {
  const warn = vi.fn<Logger["warn"]>();
  const { store, clock, file } = openedAt(1_000, { cleanUpInterval: 500, busyTimeout: 100, logger: { ...silent, warn } });
  await persist(store, "order-1", 100_000);
  holdLock(file);

  await clock.advance(5_000);

  expect(warn).not.toHaveBeenCalled();
});

test("closing ends the rounds", async () => {
  const { store, clock } = openedAt(1_000, { cleanUpInterval: 500 });

  await store.close();

  expect(clock.pending).toBe(0);
});

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function openedAt(now: number, options: Partial<SqliteEventStoreOptions>): { store: EventStore; clock: VirtualClock; file: string } {
  const file = temporaryFile();
  const clock = virtualClock({ now });
  const store = sqliteEventStore({ file, clock, ...options });
  onTestFinished(() => store.close());
  return { store, clock, file };
}

function persist(store: EventStore, key: string, expiresAt?: number): Promise<string> {
  return store.persist(createMessage({ id: key, key, source: "event1", content: "{}" }), { ...(expiresAt !== undefined && { expiresAt }) });
}
