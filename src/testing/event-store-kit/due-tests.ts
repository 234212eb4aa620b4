import assert from "node:assert/strict";

import type { KitTest } from "./kit-test.ts";

import { everyHostileString } from "./hostile-strings.ts";
import { allDue, assertSameSet, contentOf, persistAll, sample } from "./kit-test.ts";

export const dueTests: readonly KitTest[] = [
  {
    title: "listDue reports every entry with dueAt <= before",
    async run({ store, now }) {
      const soon = now() + 1_000;
      await persistAll(store, [
        ["order-1", "event1", { dueAt: 0 }],
        ["order-2", "event1", { dueAt: soon - 1 }],
        ["order-3", "event1", { dueAt: soon }],
        ["order-4", "event1", { dueAt: soon + 1 }],
        ["order-5", "event1"],
        ["order-6", "event1", { expiresAt: soon }],
      ]);

      const due = await store.listDue({ before: soon, limit: 10 });

      assert.deepEqual(
        due.map(({ dueAt, key, source }) => [dueAt, key, source]),
        [
          [0, "order-1", "event1"],
          [soon - 1, "order-2", "event1"],
          [soon, "order-3", "event1"],
        ],
      );
    },
  },
  {
    title: "listDue reports oldest first",
    async run({ store }) {
      const times = [30, 5, 1_000_000_000_000, 100, 9, 20, 1];
      for (const dueAt of times) await store.persist(sample(`order-${dueAt}`, "event1"), { dueAt });

      const due = await allDue(store, { before: 1_000_000_000_000, limit: 3 });

      assert.deepEqual(
        due.map(([dueAt]) => dueAt),
        times.sort((one, other) => one - other),
      );
    },
  },
  {
    title: "listDue reports at most limit entries",
    async run({ store }) {
      for (let dueAt = 1; dueAt <= 5; dueAt += 1) await store.persist(sample(`order-${dueAt}`, "event1"), { dueAt });

      const page = await store.listDue({ before: 10, limit: 2 });

      assert.deepEqual(
        page.map(({ dueAt }) => dueAt),
        [1, 2],
      );
    },
  },
  {
    title: "listDue reports each entry once over its pages, those of one dueAt too",
    async run({ store }) {
      const entries = [1, 2, 3].flatMap((dueAt) =>
        ["order-1", "order-2", ""].flatMap((key) =>
          ["event1", "event2", ""].map((source): [number, string, string] => [dueAt, `${key}/${dueAt}`, source]),
        ),
      );
      for (const [dueAt, key, source] of entries) await store.persist(sample(key, source), { dueAt });

      for (const limit of [1, 2, 4, 100]) assertSameSet(await allDue(store, { before: 3, limit }), entries, `pages of ${limit}`);
    },
  },
  {
    title: "listDue reports each entry once over its pages, whatever its key and source",
    async run({ store }) {
      for (const text of everyHostileString) await store.persist(sample(text, text), { dueAt: 1 });

      const due = await allDue(store, { before: 1, limit: 7 });

      assertSameSet(
        due,
        everyHostileString.map((text): [number, string, string] => [1, text, text]),
        "due entries",
      );
    },
  },
  {
    title: "listDue goes on behind an entry that is no longer there, or due at another time",
    async run({ store }) {
      for (const dueAt of [1, 2, 3, 4]) await store.persist(sample(`order-${dueAt}`, "event1"), { dueAt });
      const [first, second] = await store.listDue({ before: 4, limit: 2 });
      assert.ok(first !== undefined && second !== undefined, "the first page is full");

      await store.remove(second.key, second.source);
      const afterRemoved = await store.listDue({ before: 4, limit: 10, after: second });
      await store.persist(sample(first.key, first.source), { dueAt: 100 });
      const afterMoved = await store.listDue({ before: 4, limit: 10, after: first });

      assert.deepEqual(
        [afterRemoved.map(({ dueAt }) => dueAt), afterMoved.map(({ dueAt }) => dueAt)],
        [
          [3, 4],
          [3, 4],
        ],
      );
    },
  },
  {
    title: "listDue follows the last persist: moved to another time, due no more, removed",
    async run({ store }) {
      await persistAll(store, [
        ["moved later", "event1", { dueAt: 1 }],
        ["moved earlier", "event1", { dueAt: 50 }],
        ["due no more", "event1", { dueAt: 2 }],
        ["removed", "event1", { dueAt: 3 }],
        ["came to be due", "event1"],
      ]);

      await persistAll(store, [
        ["moved later", "event1", { dueAt: 20 }],
        ["moved earlier", "event1", { dueAt: 4 }],
        ["due no more", "event1"],
        ["came to be due", "event1", { dueAt: 5 }],
      ]);
      await store.remove("removed", "event1");

      assert.deepEqual(await allDue(store, { before: 20, limit: 10 }), [
        [4, "moved earlier", "event1"],
        [5, "came to be due", "event1"],
        [20, "moved later", "event1"],
      ]);
    },
  },
  {
    title: "listDue never removes an entry, and dueAt does not either",
    async run({ store, now, removeExpired }) {
      await store.persist(sample("order-1", "event1", "kept"), { dueAt: now() - 3_600_000 });
      const before = now();

      const first = await store.listDue({ before, limit: 10 });
      await removeExpired();
      const second = await store.listDue({ before, limit: 10 });

      assert.equal(first.length, 1);
      assert.deepEqual(second, first);
      assert.equal(await contentOf(store, "order-1", "event1"), "kept");
    },
  },
];
