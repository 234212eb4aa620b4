import { expect, test } from "vitest";

import { TerminalError } from "../../../src/errors.ts";
import { idempotency, type IdempotencyOptions } from "../../../src/handlers/idempotency/idempotency.ts";
import { pipeline, type Processor } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "../../claims/deliver.ts";

test("a duplicate waits for the delivery being processed and is skipped when that has completed", async () => {
  const { clock, orders, work } = setUp();
  const first = deliver(orders, clock, event("orders"));
  await clock.advance(0);

  const second = deliver(orders, clock, event("orders"));
  await clock.advance(300);
  work.resolve();
  await clock.advance(1_000);

  expect(await first).toMatchObject({ ended: undefined });
  expect(await second).toMatchObject({ ended: "duplicate" });
});

test("a duplicate that has waited in vain fails retryably and says when to come again", async () => {
  const { clock, orders } = setUp({ wait: 2_000, lease: 9_000 });
  void deliver(orders, clock, event("orders"));
  await clock.advance(0);

  const refusal = failureOf(deliver(orders, clock, event("orders")));
  await clock.advance(2_000);

  expect(await refusal).toMatchObject({ code: "ERR_IN_PROGRESS", retryable: true, retryAfter: 3_000 });
});

test("a duplicate does not give up before its wait is over", async () => {
  const { clock, orders } = setUp({ wait: 2_000 });
  void deliver(orders, clock, event("orders"));
  await clock.advance(0);
  let gaveUpAt = 0;

  const refusal = failureOf(deliver(orders, clock, event("orders")).finally(() => (gaveUpAt = clock.now())));
  await clock.advance(5_000);

  expect(await refusal).toMatchObject({ code: "ERR_IN_PROGRESS" });
  expect(gaveUpAt).toBe(1_002_000);
});

test("without any wait a duplicate fails at once", async () => {
  const { clock, orders } = setUp({ wait: 0 });
  void deliver(orders, clock, event("orders"));
  await clock.advance(0);

  const refusal = await failureOf(deliver(orders, clock, event("orders")));

  expect(refusal).toMatchObject({ code: "ERR_IN_PROGRESS" });
});

test("a duplicate that waits gives up at its own deadline, and the first delivery goes on", async () => {
  const { clock, orders, work } = setUp({ wait: 60_000 });
  const first = deliver(orders, clock, event("orders"));
  await clock.advance(0);

  const refusal = failureOf(deliver(orders, clock, event("orders"), { deadline: clock.now() + 700 }));
  await clock.advance(700);
  work.resolve();

  expect(await refusal).toMatchObject({ code: "ERR_TIMEOUT" });
  expect(await first).toMatchObject({ ended: undefined });
});

test("a duplicate that waits gives up when its caller does", async () => {
  const { clock, orders } = setUp();
  const caller = new AbortController();
  const gone = new Error("client went away");
  void deliver(orders, clock, event("orders"));
  await clock.advance(0);

  const refusal = failureOf(deliver(orders, clock, event("orders"), { signal: caller.signal }));
  await clock.advance(0);
  caller.abort(gone);

  expect(await refusal).toBe(gone);
});

test("a waiting duplicate takes the message over when the first delivery fails retryably", async () => {
  const { clock, orders, work, runs } = setUp();
  const first = failureOf(deliver(orders, clock, event("orders")));
  await clock.advance(0);
  const second = deliver(orders, clock, event("orders"));
  await clock.advance(100);

  work.reject(new Error("connection reset"));
  await clock.advance(1_000);

  expect(await first).toMatchObject({ retryable: true });
  expect(await second).toMatchObject({ ended: undefined });
  expect(runs()).toBe(2);
});

test("a waiting duplicate is told the failure when the first delivery fails for good", async () => {
  const { clock, orders, work, runs } = setUp();
  const first = failureOf(deliver(orders, clock, event("orders")));
  await clock.advance(0);
  const second = failureOf(deliver(orders, clock, event("orders")));
  await clock.advance(100);

  work.reject(new TerminalError("no such customer"));
  await clock.advance(1_000);

  expect(await first).toMatchObject({ code: "ERR_TERMINAL" });
  expect(await second).toMatchObject({ code: "ERR_TERMINAL", retryable: false });
  expect(runs()).toBe(1);
});

test("of many deliveries at the same instant one runs the message and the others are skipped", async () => {
  const { clock, orders, work, runs } = setUp();
  work.resolve();

  const deliveries = Promise.all(Array.from({ length: 20 }, () => deliver(orders, clock, event("orders"))));
  await clock.advance(1_000);

  expect((await deliveries).filter(({ ended }) => ended === "duplicate")).toHaveLength(19);
  expect(runs()).toBe(1);
});

/** A handler that waits for `work` in its first run, and is done at once in every further one. */
function setUp(options: Partial<IdempotencyOptions> = {}) {
  const clock = virtualClock({ now: 1_000_000 });
  const work = Promise.withResolvers<void>();
  let runs = 0;
  const orders: Processor = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }), ...options }))
    .use(async () => {
      runs += 1;
      if (runs === 1) await work.promise;
    });
  return { clock, orders, work, runs: () => runs };
}
