import assert from "node:assert/strict";

import type { EventStore, EventStoreFeatures } from "../stores/event-store.ts";
import type { Bench, KitTest, Need } from "./event-store-kit/kit-test.ts";

import { abortTests } from "./event-store-kit/abort-tests.ts";
import { clockTests } from "./event-store-kit/clock-tests.ts";
import { closeTests } from "./event-store-kit/close-tests.ts";
import { dueTests } from "./event-store-kit/due-tests.ts";
import { entryTests } from "./event-store-kit/entry-tests.ts";
import { expiryTests } from "./event-store-kit/expiry-tests.ts";
import { keyTests } from "./event-store-kit/key-tests.ts";
import { listingTests } from "./event-store-kit/listing-tests.ts";
import { messageTests } from "./event-store-kit/message-tests.ts";
import { randomCallTests } from "./event-store-kit/random-call-tests.ts";
import { raceTests } from "./event-store-kit/race-tests.ts";
import { revisionTests } from "./event-store-kit/revision-tests.ts";
import { scopeTests } from "./event-store-kit/scope-tests.ts";
import { sharedTests } from "./event-store-kit/shared-tests.ts";

export interface EventStoreKitOptions {
  /** Registers a test, as `test` of vitest, jest or node:test does. */
  readonly test: (title: string, run: () => Promise<void>) => unknown;
  /** Opens a fresh, empty store. The kit closes it when its test has ended. */
  readonly open: () => EventStore | Promise<EventStore>;
  /** What the store declares. Tests of what it cannot do are skipped; what it only says of its cost is not tested. */
  readonly features: Pick<EventStoreFeatures, "compareAndSet" | "clock">;
  /**
   * Opens a further handle on the data of a store that `open` gave, in this process or another one; `first` may be closed by then.
   * @default the tests of several handles are skipped
   */
  readonly openAnother?: (first: EventStore) => EventStore | Promise<EventStore>;
  /**
   * Makes writes of the store wait, by taking its lock for example, until the function it gives is called.
   * @default the tests of writes that wait are skipped
   */
  readonly holdUp?: (store: EventStore) => (() => unknown) | Promise<() => unknown>;
  /**
   * Has the store remove what is past its `expiresAt`. It is called after 20 writes, so it may do nothing where writes do that.
   * @default the tests of removal are skipped
   */
  readonly removeExpired?: (store: EventStore) => unknown;
  /**
   * Told of every test that is skipped, by its title, and why.
   * @default nobody is told
   */
  readonly skip?: (title: string, reason: string) => unknown;
  /**
   * Epoch milliseconds on the clock by which the store reads `expiresAt`.
   * @default Date.now
   */
  readonly now?: () => number;
  /**
   * Milliseconds after which a call that must settle counts as hanging; less than the runner's own limit for a test.
   * @default 2_000
   */
  readonly patience?: number;
}

/**
 * Registers the tests that every EventStore must pass: each sentence of the port's contract, under the same words.
 *
 * Use it for every adapter, and add tests only for what is the adapter's own. It depends on no test runner.
 *
 * @example
 * import { test } from "vitest";
 * eventStoreKit({ test, open: () => redisEventStore({ prefix: randomUUID() }), features: { compareAndSet: true, clock: true } });
 */
export function eventStoreKit(options: EventStoreKitOptions): void {
  for (const kitTest of [declaredFeatures(options.features), ...kitTests]) {
    const missing = kitTest.needs?.find((need) => !isMet(need, options));
    if (missing === undefined) options.test(kitTest.title, () => runOne(kitTest, options));
    else options.skip?.(kitTest.title, reasons[missing]);
  }
}

const kitTests: readonly KitTest[] = [
  ...keyTests,
  ...messageTests,
  ...entryTests,
  ...revisionTests,
  ...raceTests,
  ...clockTests,
  ...dueTests,
  ...expiryTests,
  ...listingTests,
  ...scopeTests,
  ...abortTests,
  ...closeTests,
  ...sharedTests,
  ...randomCallTests,
];

const reasons: Readonly<Record<Need, string>> = {
  compareAndSet: "features.compareAndSet is false",
  clock: "features.clock is false",
  openAnother: "the kit was not given openAnother",
  holdUp: "the kit was not given holdUp",
  removeExpired: "the kit was not given removeExpired",
};

function declaredFeatures(features: EventStoreKitOptions["features"]): KitTest {
  return {
    title: "features are those that the store is tested for",
    async run({ store }) {
      const { compareAndSet, clock } = store.features;
      assert.deepEqual({ compareAndSet, clock }, { compareAndSet: features.compareAndSet, clock: features.clock });
    },
  };
}

function isMet(need: Need, options: EventStoreKitOptions): boolean {
  return need === "compareAndSet" || need === "clock" ? options.features[need] : options[need] !== undefined;
}

async function runOne({ run }: KitTest, options: EventStoreKitOptions): Promise<void> {
  const store = await options.open();
  const opened = [store];
  const [outcome] = await Promise.allSettled([run(benchOf(store, opened, options))]);
  const closings = await Promise.allSettled(opened.map(async (each) => each.close()));
  // The test's own failure first: a broken store often cannot be closed either.
  for (const result of [outcome, ...closings]) {
    if (result.status === "rejected") throw result.reason;
  }
}

/** What the options give no means for does nothing here; no test that needs it is run. */
function benchOf(store: EventStore, opened: EventStore[], options: EventStoreKitOptions): Bench {
  const { now = Date.now, patience = 2_000, openAnother, holdUp, removeExpired } = options;
  return {
    store,
    now,
    patience,
    async openAnother() {
      const another = (await openAnother?.(store)) ?? store;
      opened.push(another);
      return another;
    },
    holdUp: async () => (await holdUp?.(store)) ?? (() => undefined),
    removeExpired: async () => void (await removeExpired?.(store)),
  };
}
