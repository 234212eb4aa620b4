import { eventStoreKit, type EventStoreKitOptions } from "event-driver/testing";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

import type { EventStore } from "../../src/stores/event-store.ts";

import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { withFlaw } from "./bad-stores/bad-store.ts";

test("what a store does not offer is skipped by name, with the reason", () => {
  const skipped = new Map<string, string>();

  const tests = kitTests({
    features: { compareAndSet: false, clock: false },
    skip: (title, reason) => skipped.set(title, reason),
  });

  expect([...skipped]).toEqual(
    expect.arrayContaining([
      ['persist with expected "absent" writes only when nothing is stored', "features.compareAndSet is false"],
      ["storedAt and readAt are given with every entry, all from one clock", "features.clock is false"],
      ["a revision is never used again, whichever handle writes", "the kit was not given openAnother"],
      ["a write that waits rejects with signal.reason as soon as that aborts", "the kit was not given holdUp"],
      ["the store removes entries past their expiresAt, and no others", "the kit was not given removeExpired"],
    ]),
  );
  expect([...skipped.keys()].filter((title) => tests.has(title))).toEqual([]);
});

test("a store without compare-and-set and without a clock passes all that is not skipped", async () => {
  const features = { compareAndSet: false, clock: false };
  const open = (): EventStore =>
    withFlaw((inner) => ({
      features,
      persist: (message, { expected, ...options } = {}) =>
        expected === undefined ? inner.persist(message, options) : Promise.reject(new Error("this store cannot compare and set")),
    }));

  const outcomes = await Promise.allSettled([...kitTests({ features, open }).values()].map((run) => run()));

  expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
});

test("no two tests of the kit have the same title", () => {
  const titles: string[] = [];

  eventStoreKit({ ...required, test: (title) => titles.push(title), skip: (title) => titles.push(title) });

  expect(titles).toHaveLength(new Set(titles).size);
});

test("every store that a test has opened is closed, and a failed test tells its own failure first", async () => {
  const closed: string[] = [];
  const failing = (name: string): EventStore =>
    withFlaw(() => ({
      persist: () => Promise.reject(new Error("the store is broken")),
      close() {
        closed.push(name);
        return Promise.reject(new Error("the store cannot be closed"));
      },
    }));
  const tests = kitTests({ open: () => failing("first"), openAnother: () => failing("second") });

  const run = tests.get("an entry that one handle has replaced or removed is no longer what another has seen");

  await expect(run?.()).rejects.toThrow("the store is broken");
  expect(closed.sort()).toEqual(["first", "second"]);
});

test("a store that cannot be closed fails the test that opened it", async () => {
  const tests = kitTests({ open: () => withFlaw(() => ({ close: () => Promise.reject(new Error("the store cannot be closed")) })) });

  const run = tests.get("the same name gives the same entries");

  await expect(run?.()).rejects.toThrow("the store cannot be closed");
});

test("the kit runs in node:test as it is", async () => {
  const file = fileURLToPath(new URL("./children/node-test.ts", import.meta.url));

  const { stdout } = await promisify(execFile)(process.execPath, ["-C", "@event-driver/source", "--test-reporter=tap", file]);

  expect(stdout).toMatch(/^# pass \d{3}$/m);
  expect(stdout).toMatch(/^# fail 0$/m);
});

const required: Pick<EventStoreKitOptions, "open" | "features"> = {
  open: memoryEventStore,
  features: { compareAndSet: true, clock: true },
};

function kitTests(options: Partial<EventStoreKitOptions>): ReadonlyMap<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  eventStoreKit({ ...required, ...options, test: (title, run) => tests.set(title, run) });
  return tests;
}
