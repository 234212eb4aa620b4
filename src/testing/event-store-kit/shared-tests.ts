import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { Bench, KitTest } from "./kit-test.ts";

import { isRevisionConflict } from "../../errors.ts";
import { allDue, allKeys, assertConflict, contentOf, increment, persistAll, sample } from "./kit-test.ts";

/** Handles on one store, as the replicas of a service have them. */
export const sharedTests: readonly KitTest[] = [
  {
    title: "a read or list that begins after a persist or remove has resolved sees it, from any handle",
    needs: ["openAnother"],
    async run(bench) {
      const [one, other] = await twoHandles(bench);

      for (let round = 1; round <= 10; round += 1) {
        const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one];
        const scope = reader.scope("scope");
        await writer.persist(sample("order-1", "event1", `content ${round}`), { dueAt: round });
        await writer.scope("scope").persist(sample("order-2", "event1", `content ${round}`));

        assert.deepEqual(await reader.listSourcesByKey("order-1"), ["event1"]);
        assert.equal((await reader.lookUpByKey("order-1"))[0]?.message.content, `content ${round}`);
        assert.equal(await contentOf(reader, "order-1", "event1"), `content ${round}`);
        assert.deepEqual(await allDue(reader, { before: round, limit: 2 }), [[round, "order-1", "event1"]]);
        assert.deepEqual([await allKeys(reader, 2), await allKeys(scope, 2)], [["order-1"], ["order-2"]]);

        await reader.remove("order-1", "event1");
        assert.equal(await writer.lookUp("order-1", "event1"), undefined);
        assert.deepEqual(await writer.listSourcesByKey("order-1"), []);
      }
    },
  },
  {
    title: "concurrent persist calls with the same expected have one winner, from any handle",
    needs: ["openAnother", "compareAndSet"],
    async run(bench) {
      const handles = [...(await twoHandles(bench)), await bench.openAnother()];

      for (let round = 0; round < 5; round += 1) {
        const key = `order-${round}`;
        const calls = handles.flatMap((handle, index) =>
          ["a", "b", "c"].map((call) => handle.persist(sample(key, "event1", `${index}${call}`), { expected: "absent" })),
        );
        const outcomes = await Promise.allSettled(calls);

        const winners = outcomes.filter(({ status }) => status === "fulfilled");
        assert.equal(winners.length, 1, `${winners.length} of ${calls.length} calls have won`);
        for (const outcome of outcomes) {
          assert.ok(outcome.status === "fulfilled" || isRevisionConflict(outcome.reason), "the others meet a conflict");
        }
      }
    },
  },
  {
    title: "concurrent persist calls that look up and expect what they have seen lose no update, from any handle",
    needs: ["openAnother", "compareAndSet"],
    async run(bench) {
      const handles = [...(await twoHandles(bench)), await bench.openAnother()];
      await bench.store.persist(sample("counter", "event1", "0"));

      await Promise.all([...handles, ...handles].map((handle) => increment(handle, 3)));

      assert.equal(await contentOf(bench.store, "counter", "event1"), "18");
    },
  },
  {
    title: "a revision is never used again, whichever handle writes",
    needs: ["openAnother"],
    async run(bench) {
      const [one, other] = await twoHandles(bench);
      const revisions: string[] = [];

      for (let round = 0; round < 5; round += 1) {
        revisions.push(await one.persist(sample("order-1", "event1")), await other.persist(sample("order-1", "event1")));
        await one.remove("order-1", "event1");
        revisions.push(await other.persist(sample("order-1", "event1")));
        await other.remove("order-1", "event1");
      }

      assert.equal(new Set(revisions).size, revisions.length, `revisions ${revisions.join(", ")}`);
    },
  },
  {
    title: "an entry that one handle has replaced or removed is no longer what another has seen",
    needs: ["openAnother", "compareAndSet"],
    async run(bench) {
      const [one, other] = await twoHandles(bench);
      const seen = await one.persist(sample("order-1", "event1", "seen"));
      await other.persist(sample("order-1", "event1", "replaced"));

      await assertConflict(one.persist(sample("order-1", "event1", "stale"), { expected: seen }), "a persist over a replaced entry");
      await assertConflict(one.remove("order-1", "event1", { expected: seen }), "a remove of a replaced entry");
      await other.remove("order-1", "event1");
      await assertConflict(one.persist(sample("order-1", "event1", "stale"), { expected: seen }), "a persist over a removed entry");

      assert.equal(await other.lookUp("order-1", "event1"), undefined);
    },
  },
  {
    title: "close waits for what is in flight, and another handle finds it",
    needs: ["openAnother"],
    async run(bench) {
      const [one, other] = await twoHandles(bench);
      const written = Promise.allSettled(Array.from({ length: 10 }, (_, index) => one.persist(sample("order-1", `event${index}`))));

      await one.close();

      assert.equal((await other.listSourcesByKey("order-1")).length, 10);
      assert.ok(
        (await written).every(({ status }) => status === "fulfilled"),
        "every write has resolved",
      );
    },
  },
  {
    title: "close closes only what the adapter itself opened: another handle goes on",
    needs: ["openAnother"],
    async run(bench) {
      const [one, other] = await twoHandles(bench);
      await persistAll(one, [["order-1", "event1"]]);

      await other.close();

      await persistAll(one, [["order-1", "event2"]]);
      assert.equal((await one.lookUpByKey("order-1")).length, 2);
    },
  },
];

async function twoHandles({ store, openAnother }: Bench): Promise<readonly [EventStore, EventStore]> {
  return [store, await openAnother()];
}
