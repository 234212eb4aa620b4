import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { createMessage } from "../../message.ts";
import { allDue, allKeys, assertSameMessage, assertSameSet, contentOf, persistAll, sample } from "./kit-test.ts";

export const entryTests: readonly KitTest[] = [
  {
    title: "lookUp of what is not there is undefined, and the lists of a key without entries are empty",
    async run({ store }) {
      await store.persist(sample("order-1", "event1"));

      assert.equal(await store.lookUp("order-1", "event2"), undefined);
      assert.equal(await store.lookUp("order-2", "event1"), undefined);
      assert.deepEqual(await store.lookUpByKey("order-2"), []);
      assert.deepEqual(await store.listSourcesByKey("order-2"), []);
    },
  },
  {
    title: "one entry a key and source: a later persist replaces it whole",
    async run({ store }) {
      const full = createMessage({
        ...sample("order-1", "event1"),
        id: "first",
        origin: "o",
        type: "t",
        time: "2024-01-01T00:00:00Z",
        attributes: { a: "1" },
      });
      const bare = createMessage({ id: "second", key: "order-1", source: "event1", content: Uint8Array.of(1) });

      await store.persist(full);
      await store.persist(bare);

      assertSameMessage((await store.lookUp("order-1", "event1"))?.message, bare);
      assert.equal((await store.lookUpByKey("order-1")).length, 1);
    },
  },
  {
    title: "one entry a key and source: a later persist replaces it whole, dueAt and expiresAt too",
    async run({ store, now }) {
      const later = now() + 3_600_000;
      await store.persist(sample("order-1", "event1"), { dueAt: 1, expiresAt: later });

      await store.persist(sample("order-1", "event1"), { dueAt: 2 });
      assert.deepEqual(await times(), { dueAt: 2, expiresAt: undefined });

      await store.persist(sample("order-1", "event1"), { expiresAt: later + 1 });
      assert.deepEqual(await times(), { dueAt: undefined, expiresAt: later + 1 });
      assert.deepEqual(await allDue(store, { before: later, limit: 10 }), []);

      await store.persist(sample("order-1", "event1"));
      assert.deepEqual(await times(), { dueAt: undefined, expiresAt: undefined });

      async function times(): Promise<object> {
        const entry = await store.lookUp("order-1", "event1");
        return { dueAt: entry?.dueAt, expiresAt: entry?.expiresAt };
      }
    },
  },
  {
    title: "dueAt and expiresAt are two things, and come back as they were given",
    async run({ store, now }) {
      const later = now() + 3_600_000;
      const given = [
        {},
        { dueAt: 0 },
        { dueAt: 1.25 },
        { expiresAt: later },
        { dueAt: later + 5, expiresAt: later },
        { dueAt: 7, expiresAt: later + 0.5 },
      ];
      for (const [index, options] of given.entries()) await store.persist(sample("order-1", `event${index}`), options);

      for (const [index, options] of given.entries()) {
        const entry = await store.lookUp("order-1", `event${index}`);
        assert.ok(entry !== undefined, "the entry is there");
        const { message: _message, revision: _revision, storedAt: _storedAt, readAt: _readAt, ...times } = entry;
        assert.deepEqual(times, options);
      }
    },
  },
  {
    title: "lookUpByKey gives all that lookUp gives, for every source of the key",
    async run({ store, now }) {
      const later = now() + 3_600_000;
      await store.persist(sample("order-1", "event1", "one"), { dueAt: 5 });
      await store.persist(sample("order-1", "event2", "two"), { expiresAt: later });
      await store.persist(sample("order-2", "event1", "other"));

      const found = await store.lookUpByKey("order-1");

      assertSameSet(
        found.map(({ message, revision, dueAt, expiresAt }) => [message.source, message.content, revision, dueAt, expiresAt]),
        [
          ["event1", "one", (await store.lookUp("order-1", "event1"))?.revision, 5, undefined],
          ["event2", "two", (await store.lookUp("order-1", "event2"))?.revision, undefined, later],
        ],
        "the entries of the key",
      );
    },
  },
  {
    title: "a read or list that begins after a persist has resolved sees it",
    async run({ store }) {
      for (let round = 0; round < 25; round += 1) {
        const key = `order-${round % 5}`;
        const source = `event${round % 3}`;

        await store.persist(sample(key, source, `content ${round}`), { dueAt: round });

        assert.ok((await store.listSourcesByKey(key)).includes(source), "listSourcesByKey sees it");
        const ofItsKey = await store.lookUpByKey(key);
        assert.equal(ofItsKey.find((entry) => entry.message.source === source)?.message.content, `content ${round}`);
        assert.ok((await allKeys(store, 2)).includes(key), "listKeys sees it");
        assert.deepEqual((await allDue(store, { before: round, limit: 2 })).at(-1), [round, key, source]);
        assert.equal(await contentOf(store, key, source), `content ${round}`);
      }
    },
  },
  {
    title: "a read or list that begins after a remove has resolved sees it",
    async run({ store }) {
      await persistAll(store, [["order-2", "event1", { dueAt: 1 }]]);

      for (let round = 0; round < 10; round += 1) {
        await persistAll(store, [["order-1", "event1", { dueAt: 1 }]]);
        assert.deepEqual(await sightings(store), { sources: 1, entries: 1, keys: 2, due: 2, entry: true });

        await store.remove("order-1", "event1");
        assert.deepEqual(await sightings(store), { sources: 0, entries: 0, keys: 1, due: 1, entry: false });
      }
    },
  },
  {
    title: "remove takes one entry and leaves the others of its key and of its source",
    async run({ store }) {
      await persistAll(store, [
        ["order-1", "event1"],
        ["order-1", "event2"],
        ["order-2", "event1"],
      ]);

      await store.remove("order-1", "event1");

      assert.equal(await store.lookUp("order-1", "event1"), undefined);
      assert.equal(await contentOf(store, "order-1", "event2"), "content");
      assert.equal(await contentOf(store, "order-2", "event1"), "content");
    },
  },
  {
    title: "removing what is not there is no error",
    async run({ store }) {
      await persistAll(store, [["order-1", "event1"]]);

      await store.remove("order-1", "event2");
      await store.remove("order-2", "event1");
      await store.remove("order-1", "event1");
      await store.remove("order-1", "event1");

      assert.deepEqual(await store.listKeys({ limit: 10 }), []);
    },
  },
  {
    title: "concurrent persist calls without expected all succeed, and leave one of them whole",
    async run({ store }) {
      const contents = Array.from({ length: 20 }, (_, index) => `content ${index}`);

      const revisions = await Promise.all(
        contents.map((content, index) => store.persist(sample("order-1", "event1", content), { dueAt: index })),
      );

      const entry = await store.lookUp("order-1", "event1");
      const winner = revisions.indexOf(entry?.revision ?? "none");
      assert.ok(winner >= 0, "the revision that is stored was given to one of the calls");
      assert.deepEqual([entry?.message.content, entry?.dueAt], [`content ${winner}`, winner]);
      assert.deepEqual(await allDue(store, { before: 100, limit: 5 }), [[winner, "order-1", "event1"]]);
    },
  },
];

/** Where an entry of key "order-1" and source "event1" shows. */
async function sightings(store: EventStore): Promise<object> {
  return {
    sources: (await store.listSourcesByKey("order-1")).length,
    entries: (await store.lookUpByKey("order-1")).length,
    keys: (await store.listKeys({ limit: 10 })).length,
    due: (await store.listDue({ before: 1, limit: 10 })).length,
    entry: (await store.lookUp("order-1", "event1")) !== undefined,
  };
}
