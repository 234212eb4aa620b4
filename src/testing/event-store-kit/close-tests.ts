import assert from "node:assert/strict";

import type { KitTest } from "./kit-test.ts";

import { isEventDriverError } from "../../errors.ts";
import { everyCall } from "./every-call.ts";
import { contentOf, oneTurn, outcomeOf, rejectionOf, sample } from "./kit-test.ts";

export const closeTests: readonly KitTest[] = [
  {
    title: "close is idempotent",
    async run({ store }) {
      await Promise.all([store.close(), store.close()]);

      await store.close();
    },
  },
  {
    title: "close waits for what is in flight",
    async run({ store }) {
      const statuses: string[] = [];
      for (let index = 0; index < 10; index += 1) {
        void store.persist(sample(`order-${index}`, "event1")).then(
          () => statuses.push("stored"),
          () => statuses.push("failed"),
        );
      }

      await store.close();
      await oneTurn();

      assert.deepEqual(
        statuses,
        Array.from({ length: 10 }, () => "stored"),
      );
    },
  },
  {
    title: "close waits for what is in flight: a write that has to wait",
    needs: ["holdUp"],
    async run({ store, holdUp, patience }) {
      const release = await holdUp();
      const write = outcomeOf(store.persist(sample("order-1", "event1")), patience);
      const closing = outcomeOf(store.close(), patience);

      await oneTurn();
      const early = await Promise.race([closing, oneTurn().then(() => "held up")]);
      await release();
      const [written, closed] = await Promise.all([write, closing]);

      assert.equal(early, "held up");
      assert.deepEqual([statusOf(written), statusOf(closed)], ["fulfilled", "fulfilled"]);
    },
  },
  ...Object.entries(everyCall).map(([operation, call]): KitTest => ({
    title: `calls after close reject with ERR_STORE_CLOSED: ${operation}`,
    async run({ store }) {
      const before = store.scope("before");

      await store.close();

      for (const closed of [store, before, store.scope("after")]) {
        const error = await rejectionOf(call(closed));
        assert.ok(isEventDriverError(error), `the error is one of event-driver's: ${String(error)}`);
        assert.equal(error.code, "ERR_STORE_CLOSED");
        assert.equal(error.retryable, true, "another process may still take the message");
      }
    },
  })),
  {
    title: "closing a scope closes nothing",
    async run({ store }) {
      const scope = store.scope("scope");
      await scope.persist(sample("order-1", "event1", "inside"));
      await scope.close();
      await scope.close();

      await store.persist(sample("order-1", "event1", "outside"));

      assert.equal(await contentOf(store, "order-1", "event1"), "outside");
      assert.equal(await contentOf(scope, "order-1", "event1"), "inside");
    },
  },
];

function statusOf(outcome: PromiseSettledResult<unknown> | "still waiting"): string {
  return typeof outcome === "string" ? outcome : outcome.status;
}
