import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { everyHostileString } from "./hostile-strings.ts";
import { allDue, allKeys, assertConflict, assertSameSet, contentOf, persistAll, sample } from "./kit-test.ts";

/** Names of nested scopes, outermost first, that a store which joins names with a separator would confuse. */
const likePaths: readonly (readonly string[])[] = ["", "/", ".", ":", "|", "#", "\0", "~", "%2F", '","'].flatMap((separator) => [
  ["a", "b", "c"],
  [`a${separator}b`, "c"],
  ["a", `b${separator}c`],
  [`a${separator}b${separator}c`],
  [`a${separator}`, `${separator}b`],
]);

const paths: readonly (readonly string[])[] = [
  ...new Map(
    [[], ["a"], ["b"], ["a", "b"], ["b", "a"], ["", "a"], ["a", ""], ["", ""], ["a", ".."], ["a", "a"], ...likePaths].map((path) => [
      JSON.stringify(path),
      path,
    ]),
  ).values(),
];

export const scopeTests: readonly KitTest[] = [
  {
    title: "scope(name) is a store of its own: no call on one sees or touches the other",
    async run({ store }) {
      const scope = store.scope("scope");
      await store.persist(sample("order-1", "event1", "outside"), { dueAt: 1 });
      await store.persist(sample("outside", "event1"));
      await scope.persist(sample("order-1", "event1", "inside"), { dueAt: 2 });
      await scope.persist(sample("order-1", "event2", "inside"));

      assert.deepEqual([await contentOf(store, "order-1", "event1"), await contentOf(scope, "order-1", "event1")], ["outside", "inside"]);
      assert.deepEqual([(await store.lookUpByKey("order-1")).length, (await scope.lookUpByKey("order-1")).length], [1, 2]);
      assert.deepEqual(await store.listSourcesByKey("order-1"), ["event1"]);
      assertSameSet(await scope.listSourcesByKey("order-1"), ["event1", "event2"], "sources inside");
      assertSameSet(await allKeys(store, 1), ["order-1", "outside"], "keys outside");
      assert.deepEqual(await allKeys(scope, 1), ["order-1"]);
      assert.deepEqual(await allDue(store, { before: 5, limit: 1 }), [[1, "order-1", "event1"]]);
      assert.deepEqual(await allDue(scope, { before: 5, limit: 1 }), [[2, "order-1", "event1"]]);

      await store.remove("order-1", "event1");
      await scope.remove("outside", "event1");
      assert.deepEqual([await contentOf(scope, "order-1", "event1"), await contentOf(store, "outside", "event1")], ["inside", "content"]);
    },
  },
  {
    title: "scope(name) is a store of its own, whatever the name",
    async run({ store }) {
      for (const name of everyHostileString) await store.scope(name).persist(sample("order-1", "event1", name));

      for (const name of everyHostileString) assert.equal(await contentOf(store.scope(name), "order-1", "event1"), name);
      assert.equal(await store.lookUp("order-1", "event1"), undefined);
      assert.deepEqual(await store.listKeys({ limit: 10 }), []);
    },
  },
  {
    title: "scopes nest, and none is another one, whatever separators their names hold",
    async run({ store }) {
      for (const [index, path] of paths.entries()) {
        await inside(store, path).persist(sample("order-1", "event1", JSON.stringify(path)), { dueAt: index });
      }

      for (const [index, path] of paths.entries()) {
        const scope = inside(store, path);
        assert.equal(await contentOf(scope, "order-1", "event1"), JSON.stringify(path));
        assert.deepEqual(await allDue(scope, { before: paths.length, limit: 2 }), [[index, "order-1", "event1"]]);
      }
    },
  },
  {
    title: "no name of a scope can run into a key",
    async run({ store }) {
      const separators = ["", "/", ".", ":", "|", "\0", "~"];
      for (const separator of separators) {
        await store.persist(sample(`a${separator}b`, "event1", "outside"));
        await store.scope("a").persist(sample(`${separator}b`, "event1", "inside"));
        await store.scope(`a${separator}`).persist(sample("b", "event1", "inside"));
      }

      assertSameSet(
        await allKeys(store, 3),
        separators.map((separator) => `a${separator}b`),
        "keys outside",
      );
      for (const separator of separators) assert.equal(await contentOf(store, `a${separator}b`, "event1"), "outside");
    },
  },
  {
    title: "the same name gives the same entries",
    async run({ store }) {
      await persistAll(store.scope("scope").scope("inner"), [["order-1", "event1", { dueAt: 1 }]]);

      const again = store.scope("scope").scope("inner");

      assert.equal(await contentOf(again, "order-1", "event1"), "content");
      assert.deepEqual(await again.listKeys({ limit: 10 }), ["order-1"]);
      assert.equal((await again.listDue({ before: 1, limit: 10 })).length, 1);
    },
  },
  {
    title: "a scope has the features of the store it came from",
    async run({ store }) {
      assert.deepEqual(store.scope("scope").features, store.features);
    },
  },
  {
    title: "what is expected in a scope is decided by that scope alone",
    needs: ["compareAndSet"],
    async run({ store }) {
      const scope = store.scope("scope");
      const outside = await store.persist(sample("order-1", "event1", "outside"), { expected: "absent" });
      await scope.persist(sample("order-1", "event1", "inside"), { expected: "absent" });

      await assertConflict(
        scope.persist(sample("order-1", "event1", "stale"), { expected: outside }),
        "persist with a revision from outside",
      );
      await assertConflict(scope.remove("order-1", "event1", { expected: outside }), "remove with a revision from outside");

      assert.equal(await contentOf(scope, "order-1", "event1"), "inside");
    },
  },
];

function inside(store: EventStore, path: readonly string[]): EventStore {
  return path.reduce((outer, name) => outer.scope(name), store);
}
