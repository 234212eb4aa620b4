import assert from "node:assert/strict";

import type { KitTest } from "./kit-test.ts";

import { everyCall } from "./every-call.ts";
import { contentOf, outcomeOf, rejectionOf, sample } from "./kit-test.ts";

export const abortTests: readonly KitTest[] = [
  ...Object.entries(everyCall).map(([operation, call]): KitTest => ({
    title: `a call with a signal that has aborted rejects with signal.reason: ${operation}`,
    async run({ store }) {
      await store.persist(sample("order-1", "event1"));

      for (const reason of [new Error("given up"), "given up"]) {
        assert.equal(await rejectionOf(call(store, { signal: AbortSignal.abort(reason) })), reason);
        assert.equal(await rejectionOf(call(store.scope("scope"), { signal: AbortSignal.abort(reason) })), reason);
      }
    },
  })),
  {
    title: "a call that is aborted on its way rejects with signal.reason, or was done already",
    async run({ store, patience }) {
      for (const [operation, call] of Object.entries(everyCall)) {
        const controller = new AbortController();
        const reason = new Error("given up");
        const called = call(store, { signal: controller.signal });

        controller.abort(reason);

        const outcome = await outcomeOf(called, patience);
        assert.notEqual(outcome, "still waiting", operation);
        if (outcome !== "still waiting" && outcome.status === "rejected") assert.equal(outcome.reason, reason, operation);
      }
    },
  },
  {
    title: "a write that waits rejects with signal.reason as soon as that aborts",
    needs: ["holdUp"],
    async run({ store, holdUp, patience }) {
      const release = await holdUp();
      const controller = new AbortController();
      const reason = new Error("given up");
      const waiting = store.persist(sample("order-1", "event1"), { signal: controller.signal });

      controller.abort(reason);
      const outcome = await outcomeOf(waiting, patience);
      await release();

      assert.deepEqual(outcome, { status: "rejected", reason });
    },
  },
  {
    title: "a signal that does not abort, or only when the call is done, changes nothing",
    async run({ store }) {
      const controller = new AbortController();
      const { signal } = controller;

      await store.persist(sample("order-1", "event1", "kept"), { signal });
      assert.equal((await store.lookUp("order-1", "event1", { signal }))?.message.content, "kept");
      controller.abort();

      assert.equal(await contentOf(store, "order-1", "event1"), "kept");
    },
  },
];
