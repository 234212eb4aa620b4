import assert from "node:assert/strict";

import type { KitTest } from "./kit-test.ts";

import { everyHostileString } from "./hostile-strings.ts";
import { allKeys, assertSameSet, persistAll, sample } from "./kit-test.ts";

export const listingTests: readonly KitTest[] = [
  {
    title: "listKeys gives the keys that have entries, each once",
    async run({ store }) {
      await persistAll(store, [
        ["order-2", "event1"],
        ["order-1", "event1"],
        ["order-1", "event2"],
        ["order-1", "event3"],
        ["order-3", "event1"],
      ]);
      await store.remove("order-3", "event1");
      await store.remove("order-1", "event1");

      assertSameSet(await store.listKeys({ limit: 10 }), ["order-1", "order-2"], "keys");
    },
  },
  {
    title: "listKeys gives at most limit keys, and each once over its pages",
    async run({ store }) {
      for (let index = 0; index < 11; index += 1)
        await persistAll(
          store,
          [`event1`, `event2`].map((source) => [`order-${index}`, source]),
        );
      const keys = Array.from({ length: 11 }, (_, index) => `order-${index}`);

      for (const limit of [1, 2, 5, 11, 100]) assertSameSet(await allKeys(store, limit), keys, `pages of ${limit}`);
      assert.equal((await store.listKeys({ limit: 4 })).length, 4);
    },
  },
  {
    title: "listKeys gives each key once over its pages, whatever it is",
    async run({ store }) {
      for (const key of everyHostileString) await store.persist(sample(key, "event1"));

      for (const limit of [1, 7]) assertSameSet(await allKeys(store, limit), everyHostileString, `pages of ${limit}`);
    },
  },
  {
    title: "listKeys gives keys in an order that does not change, with other keys coming and going",
    async run({ store }) {
      const keys = ["m", "c", "x", "a", "t", "g"];
      await persistAll(
        store,
        keys.map((key) => [key, "event1"]),
      );
      const order = await allKeys(store, 10);

      await persistAll(store, [
        ["b", "event1"],
        ["z", "event1"],
        ["m", "event2"],
      ]);
      await store.remove("c", "event1");

      const later = await allKeys(store, 2);
      assert.deepEqual(
        later.filter((key) => keys.includes(key)),
        order.filter((key) => key !== "c"),
      );
    },
  },
  {
    title: "listKeys goes on behind a key that has no entries any more",
    async run({ store }) {
      await persistAll(
        store,
        ["a", "b", "c", "d"].map((key) => [key, "event1"]),
      );
      const order = await allKeys(store, 10);
      const [first = "", second = "", ...rest] = order;

      await store.remove(second, "event1");

      assert.deepEqual(await store.listKeys({ limit: 10, after: second }), rest);
      assert.deepEqual(await store.listKeys({ limit: 10, after: first }), rest);
    },
  },
];
