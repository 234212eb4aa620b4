import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { oneTurn, sample } from "./kit-test.ts";

export const clockTests: readonly KitTest[] = [
  {
    title: "storedAt and readAt are given with every entry, all from one clock",
    needs: ["clock"],
    async run({ store }) {
      await store.persist(sample("order-1", "event1"), { dueAt: 1 });
      await untilTheClockMoves(store);
      const seen = [...(await timesOf(store, "lookUp")), ...(await timesOf(store, "lookUpByKey"))];
      await store.persist(sample("order-1", "event1"));
      seen.push(...(await timesOf(store, "lookUp")), ...(await timesOf(store, "lookUpByKey")));

      const [first = 0, read = 0, same = 0, readAgain = 0, second = 0, last = 0] = seen;
      assert.equal(same, first, "storedAt is that of the write, however often it is read");
      assert.ok(first <= read && read <= readAgain, "readAt does not go back");
      assert.ok(second >= first && last >= second, "a later write has its own storedAt");
      assert.ok(readAgain <= second, "a later write is stored after an earlier read");
    },
  },
];

/** So that a later write can be told from an earlier one. A clock that stands still, as in tests, is not waited for. */
async function untilTheClockMoves(store: EventStore): Promise<void> {
  const givenUp = performance.now() + 20;
  for (;;) {
    const [storedAt, readAt] = await timesOf(store, "lookUp");
    if (readAt > storedAt || performance.now() > givenUp) return;
    await oneTurn();
  }
}

async function timesOf(store: EventStore, operation: "lookUp" | "lookUpByKey"): Promise<readonly [storedAt: number, readAt: number]> {
  const entry = operation === "lookUp" ? await store.lookUp("order-1", "event1") : (await store.lookUpByKey("order-1"))[0];
  assert.ok(entry?.storedAt !== undefined && entry.readAt !== undefined, `${operation} gives storedAt and readAt`);
  assert.ok(Number.isFinite(entry.storedAt) && Number.isFinite(entry.readAt), "they are epoch milliseconds");
  return [entry.storedAt, entry.readAt];
}
