import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { isRevisionConflict } from "../../errors.ts";
import { contentOf, increment, sample } from "./kit-test.ts";

/** What only calls that run at the same time can show. */
export const raceTests: readonly KitTest[] = [
  {
    title: 'concurrent persist calls with expected "absent" have one winner; the others reject with ERR_REVISION_CONFLICT',
    needs: ["compareAndSet"],
    async run({ store }) {
      for (let round = 0; round < 5; round += 1) await oneWins(store, `order-${round}`, "absent");
    },
  },
  {
    title: "concurrent persist calls with the same expected revision have one winner; the others reject with ERR_REVISION_CONFLICT",
    needs: ["compareAndSet"],
    async run({ store }) {
      let revision = await store.persist(sample("order-1", "event1"));

      for (let round = 0; round < 5; round += 1) revision = await oneWins(store, "order-1", revision);
    },
  },
  {
    title: "concurrent persist calls that look up and expect what they have seen lose no update",
    needs: ["compareAndSet"],
    async run({ store }) {
      await store.persist(sample("counter", "event1", "0"));

      await Promise.all(Array.from({ length: 10 }, () => increment(store, 1)));

      assert.equal(await contentOf(store, "counter", "event1"), "10");
    },
  },
  {
    title: "a persist and a remove that expect the same revision have one winner",
    needs: ["compareAndSet"],
    async run({ store }) {
      for (let round = 0; round < 10; round += 1) {
        const key = `order-${round}`;
        const expected = await store.persist(sample(key, "event1"));
        const persist = (): Promise<unknown> => store.persist(sample(key, "event1", "persisted"), { expected });
        const remove = (): Promise<unknown> => store.remove(key, "event1", { expected });

        const outcomes = await Promise.allSettled(round % 2 === 0 ? [persist(), remove()] : [remove(), persist()]);

        assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1, "one of the two wins");
        const persisted = outcomes[round % 2]?.status === "fulfilled";
        assert.equal(await contentOf(store, key, "event1"), persisted ? "persisted" : undefined);
      }
    },
  },
];

/** Races many persists; resolves with the revision of the one that won. */
async function oneWins(store: EventStore, key: string, expected: string): Promise<string> {
  const contents = Array.from({ length: 16 }, (_, index) => `content ${index}`);
  const calls = contents.map((content) => store.persist(sample(key, "event1", content), { expected }));

  const outcomes = await Promise.allSettled(calls);

  const winners = outcomes.flatMap((outcome, index) =>
    outcome.status === "fulfilled" ? [{ revision: outcome.value, content: contents[index] }] : [],
  );
  const [winner] = winners;
  assert.ok(winner !== undefined && winners.length === 1, `${winners.length} of ${calls.length} calls have won`);
  for (const outcome of outcomes)
    assert.ok(outcome.status === "fulfilled" || isRevisionConflict(outcome.reason), "the others meet a conflict");
  const entry = await store.lookUp(key, "event1");
  assert.deepEqual([entry?.revision, entry?.message.content], [winner.revision, winner.content], "what is stored is the winner's");
  return winner.revision;
}
