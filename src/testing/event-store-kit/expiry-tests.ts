import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { Bench, KitTest } from "./kit-test.ts";

import { isRevisionConflict } from "../../errors.ts";
import { allDue, allKeys, assertConflict, contentOf, persistAll, sample } from "./kit-test.ts";

const hour = 3_600_000;

export const expiryTests: readonly KitTest[] = [
  {
    title: "an entry past its expiresAt is there, and counts as present, until it is removed",
    async run({ store, now }) {
      await store.persist(sample("order-1", "event1"), { dueAt: 1, expiresAt: now() - 1 });

      // The store may remove the entry between two looks; after that, none may find it again.
      const sightings = [
        (await store.lookUp("order-1", "event1")) !== undefined,
        (await store.listSourcesByKey("order-1")).length > 0,
        (await store.lookUpByKey("order-1")).length > 0,
        (await store.listKeys({ limit: 10 })).length > 0,
        (await store.listDue({ before: now(), limit: 10 })).length > 0,
        (await store.lookUp("order-1", "event1")) !== undefined,
        ...(store.features.compareAndSet ? [await blocksAbsent(store)] : []),
      ];

      const gone = sightings.indexOf(false);
      assert.ok(
        gone < 0 || !sightings.includes(true, gone),
        `there for lookUp, the lists, lookUp, a conditional persist: ${sightings.join(", ")}`,
      );
    },
  },
  {
    title: "an entry past its expiresAt can be written over and removed until it is removed",
    needs: ["compareAndSet"],
    async run({ store, now }) {
      const expiresAt = now() - 1;
      const first = await store.persist(sample("order-1", "event1"), { expiresAt });

      const [second] = await Promise.allSettled([store.persist(sample("order-1", "event1", "over"), { expected: first, expiresAt })]);

      if (second.status === "fulfilled") {
        await store.remove("order-1", "event1", { expected: second.value });
      } else if (!isRevisionConflict(second.reason)) throw second.reason;
      assert.equal(await store.lookUp("order-1", "event1"), undefined);
    },
  },
  {
    title: "an entry is there as long as its expiresAt has not come",
    async run(bench) {
      const { store, now } = bench;
      await store.persist(sample("order-1", "event1", "kept"), { expiresAt: now() + hour });

      await letTheStoreRemove(bench);

      assert.equal(await contentOf(store, "order-1", "event1"), "kept");
      assert.deepEqual(await store.listSourcesByKey("order-1"), ["event1"]);
    },
  },
  {
    title: "an expiresAt that a later persist has replaced removes nothing",
    async run(bench) {
      const { store, now } = bench;
      const gone = { expiresAt: now() - hour };
      await persistAll(store, [
        ["without", "event1", gone],
        ["later", "event1", gone],
        ["anew", "event1", gone],
      ]);
      await store.remove("anew", "event1");
      await persistAll(store, [
        ["without", "event1", { dueAt: 1 }],
        ["later", "event1", { expiresAt: now() + hour }],
        ["anew", "event1"],
      ]);

      await letTheStoreRemove(bench);

      for (const key of ["without", "later", "anew"]) assert.equal(await contentOf(store, key, "event1"), "content", `the entry ${key}`);
    },
  },
  {
    title: "the store removes entries past their expiresAt, and no others",
    needs: ["removeExpired"],
    async run(bench) {
      const { store, now } = bench;
      const gone = { dueAt: 1, expiresAt: now() - hour };
      const scope = store.scope("scope");
      await persistAll(store, [
        ["order-1", "event1", gone],
        ["order-1", "event2", { dueAt: 1 }],
        ["order-2", "event1", gone],
      ]);
      await persistAll(scope, [["order-1", "event2", gone]]);

      await letTheStoreRemove(bench);

      assert.deepEqual(await store.listSourcesByKey("order-1"), ["event2"]);
      assert.equal(await store.lookUp("order-2", "event1"), undefined);
      assert.ok(!(await allKeys(store, 10)).includes("order-2"), "listKeys has forgotten it");
      assert.deepEqual(await allDue(store, { before: now(), limit: 10 }), [[1, "order-1", "event2"]]);
      assert.deepEqual(await allKeys(scope, 10), []);
    },
  },
  {
    title: "a revision is never used again, not even after the entry has expired and was written anew",
    needs: ["compareAndSet", "removeExpired"],
    async run(bench) {
      const { store, now } = bench;
      const first = await store.persist(sample("order-1", "event1"), { expiresAt: now() - hour });
      await letTheStoreRemove(bench);

      const second = await store.persist(sample("order-1", "event1", "anew"));

      assert.notEqual(second, first);
      await assertConflict(store.persist(sample("order-1", "event1", "stale"), { expected: first }), "a stale persist");
      assert.equal(await contentOf(store, "order-1", "event1"), "anew");
    },
  },
];

async function blocksAbsent(store: EventStore): Promise<boolean> {
  const [outcome] = await Promise.allSettled([store.persist(sample("order-1", "event1"), { expected: "absent" })]);
  if (outcome.status === "rejected" && !isRevisionConflict(outcome.reason)) throw outcome.reason;
  return outcome.status === "rejected";
}

/** Some stores remove with every few writes, others on their own. */
async function letTheStoreRemove({ store, removeExpired }: Bench): Promise<void> {
  for (let index = 0; index < 20; index += 1) await store.persist(sample("another", `event${index}`));
  await removeExpired();
}
