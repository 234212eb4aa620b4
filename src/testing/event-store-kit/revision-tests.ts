import assert from "node:assert/strict";

import type { KitTest } from "./kit-test.ts";

import { isRevisionConflict } from "../../errors.ts";
import { allDue, assertConflict, contentOf, rejectionOf, sample } from "./kit-test.ts";

export const revisionTests: readonly KitTest[] = [
  {
    title: "the revision that persist resolves with is the one that is read",
    async run({ store }) {
      for (const content of ["one", "two"]) {
        const revision = await store.persist(sample("order-1", "event1", content));

        assert.equal((await store.lookUp("order-1", "event1"))?.revision, revision);
        assert.equal((await store.lookUpByKey("order-1"))[0]?.revision, revision);
      }
    },
  },
  {
    title: "a revision is never used again: equal revisions mean the same write",
    async run({ store }) {
      const revisions: string[] = [];
      for (const source of ["event1", "event2", "event1", "event1"]) revisions.push(await store.persist(sample("order-1", source)));
      revisions.push(await store.persist(sample("order-2", "event1")));

      assert.equal(new Set(revisions).size, revisions.length, `revisions ${revisions.join(", ")}`);
    },
  },
  {
    title: "a revision is never used again, not even after the entry was removed and written anew",
    async run({ store }) {
      const revisions: string[] = [];
      for (let round = 0; round < 5; round += 1) {
        revisions.push(await store.persist(sample("order-1", "event1")));
        await store.remove("order-1", "event1");
      }

      assert.equal(new Set(revisions).size, revisions.length, `revisions ${revisions.join(", ")}`);
    },
  },
  {
    title: "an entry that was removed and written anew is another one to those who expect the first",
    needs: ["compareAndSet"],
    async run({ store }) {
      const first = await store.persist(sample("order-1", "event1", "one"));
      await store.remove("order-1", "event1");
      await store.persist(sample("order-1", "event1", "one"));

      await assertConflict(store.persist(sample("order-1", "event1", "stale"), { expected: first }), "a stale persist");
      await assertConflict(store.remove("order-1", "event1", { expected: first }), "a stale remove");

      assert.equal(await contentOf(store, "order-1", "event1"), "one");
    },
  },
  {
    title: 'persist with expected "absent" writes only when nothing is stored',
    needs: ["compareAndSet"],
    async run({ store }) {
      await store.persist(sample("order-1", "event1", "first"), { expected: "absent" });
      await assertConflict(store.persist(sample("order-1", "event1", "second"), { expected: "absent" }), "a second persist");
      assert.equal(await contentOf(store, "order-1", "event1"), "first");

      await store.remove("order-1", "event1");
      await store.persist(sample("order-1", "event1", "third"), { expected: "absent" });
      assert.equal(await contentOf(store, "order-1", "event1"), "third");
    },
  },
  {
    title: "persist with an expected revision writes only over exactly this revision",
    needs: ["compareAndSet"],
    async run({ store }) {
      const first = await store.persist(sample("order-1", "event1", "first"));
      const second = await store.persist(sample("order-1", "event1", "second"), { expected: first });

      await assertConflict(store.persist(sample("order-1", "event1", "stale"), { expected: first }), "over an older revision");
      const other = await store.persist(sample("order-1", "event2", "other"));
      await assertConflict(store.persist(sample("order-1", "event1", "stale"), { expected: other }), "over another entry's revision");
      assert.equal(await contentOf(store, "order-1", "event1"), "second");

      await store.persist(sample("order-1", "event1", "third"), { expected: second });
      assert.equal(await contentOf(store, "order-1", "event1"), "third");
    },
  },
  {
    title: "persist with an expected revision does not write where nothing is stored",
    needs: ["compareAndSet"],
    async run({ store }) {
      const removed = await store.persist(sample("order-1", "event1"));
      await store.remove("order-1", "event1");

      await assertConflict(store.persist(sample("order-1", "event1"), { expected: removed }), "over a removed entry");
      await assertConflict(store.persist(sample("order-2", "event1"), { expected: removed }), "where nothing ever was");

      assert.equal(await store.lookUp("order-1", "event1"), undefined);
    },
  },
  {
    title: "a revision that was never given out matches nothing",
    needs: ["compareAndSet"],
    async run({ store }) {
      const revision = await store.persist(sample("order-1", "event1"));

      for (const expected of ["", "0", "-1", "null", "no revision", ` ${revision}`, `${revision} `, `0${revision}`, `${revision}.0`]) {
        await assertConflict(store.persist(sample("order-1", "event1", "stale"), { expected }), `over ${JSON.stringify(expected)}`);
        await assertConflict(
          store.persist(sample("order-2", "event1", "stale"), { expected }),
          `${JSON.stringify(expected)} where nothing is`,
        );
        await assertConflict(store.remove("order-1", "event1", { expected }), `remove of ${JSON.stringify(expected)}`);
      }
    },
  },
  {
    title: "remove with an expected revision removes only exactly this revision",
    needs: ["compareAndSet"],
    async run({ store }) {
      const first = await store.persist(sample("order-1", "event1", "first"));
      const second = await store.persist(sample("order-1", "event1", "second"));

      await assertConflict(store.remove("order-1", "event1", { expected: first }), "of an older revision");
      assert.equal(await contentOf(store, "order-1", "event1"), "second");

      await store.remove("order-1", "event1", { expected: second });
      assert.equal(await store.lookUp("order-1", "event1"), undefined);
    },
  },
  {
    title: "removing what is not there is no error, whatever was expected",
    needs: ["compareAndSet"],
    async run({ store }) {
      const removed = await store.persist(sample("order-1", "event1"));
      await store.remove("order-1", "event1");

      await store.remove("order-1", "event1", { expected: removed });
      await store.remove("order-2", "event2", { expected: "no revision" });

      assert.deepEqual(await store.listKeys({ limit: 10 }), []);
    },
  },
  {
    title: "a conflict names the key, the source and what was expected",
    needs: ["compareAndSet"],
    async run({ store }) {
      const revision = await store.persist(sample("order-1", "event1"));
      await store.persist(sample("order-1", "event1"));

      const conflicts = [
        { expected: "absent", error: await rejectionOf(store.persist(sample("order-1", "event1"), { expected: "absent" })) },
        { expected: revision, error: await rejectionOf(store.persist(sample("order-1", "event1"), { expected: revision })) },
        { expected: revision, error: await rejectionOf(store.remove("order-1", "event1", { expected: revision })) },
      ];

      for (const { expected, error } of conflicts) {
        assert.ok(isRevisionConflict(error), "the error is an ERR_REVISION_CONFLICT");
        assert.deepEqual([error.key, error.source, error.expected, error.retryable], ["order-1", "event1", expected, true]);
      }
    },
  },
  {
    title: "a conflict leaves the entry as its last writer left it",
    needs: ["compareAndSet"],
    async run({ store, now }) {
      const expiresAt = now() + 3_600_000;
      const revision = await store.persist(sample("order-1", "event1", "kept"), { dueAt: 5, expiresAt });

      await assertConflict(store.persist(sample("order-1", "event1", "lost"), { expected: "absent", dueAt: 1 }), "persist");
      await assertConflict(store.remove("order-1", "event1", { expected: "no revision" }), "remove");

      const entry = await store.lookUp("order-1", "event1");
      assert.deepEqual([entry?.message.content, entry?.revision, entry?.dueAt, entry?.expiresAt], ["kept", revision, 5, expiresAt]);
      assert.deepEqual(await allDue(store, { before: 10, limit: 10 }), [[5, "order-1", "event1"]]);
    },
  },
];
