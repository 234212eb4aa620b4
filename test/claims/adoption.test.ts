import { expect, test } from "vitest";

import type { ClaimContext } from "../../src/claims/guard.ts";
import type { Message } from "../../src/message.ts";

import { byMessageKey, idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { matchAll } from "../../src/handlers/joiner/condition.ts";
import { joiner } from "../../src/handlers/joiner/joiner.ts";
import { pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { deliver, event } from "./deliver.ts";
import { countOf, workerOn } from "./worker.ts";

const condition = matchAll("event1", "event2", "event3");

test("an order joined and guarded on one store costs three lists, one read of its three events and five writes", async () => {
  const { worker, clock } = setUp();
  const orders = pipeline()
    .use(joiner({ store: worker.store, condition }))
    .use(idempotency({ store: worker.store }));

  await deliverAll(orders, clock);

  expect(countOf(worker.calls)).toEqual({ persist: 3 + 2, listSourcesByKey: 3, lookUpByKey: 1 });
});

test("guarded on another store, the order costs a claim of its own there", async () => {
  const { worker, clock } = setUp();
  const other = workerOn(memoryEventStore({ clock }));
  const orders = pipeline()
    .use(joiner({ store: worker.store, condition }))
    .use(idempotency({ store: other.store }));

  await deliverAll(orders, clock);

  expect(countOf(worker.calls)).toEqual({ persist: 3 + 2, listSourcesByKey: 3, lookUpByKey: 1 });
  expect(countOf(other.calls)).toEqual({ persist: 2 });
});

test("a window costs the order one more write", async () => {
  const { worker, clock } = setUp();
  const orders = pipeline().use(joiner({ store: worker.store, condition, window: { size: 60_000 } }));

  await deliverAll(orders, clock);

  expect(countOf(worker.calls)).toMatchObject({ persist: 3 + 2 + 1, listSourcesByKey: 3, lookUpByKey: 1 });
});

test("a message on its own is guarded for two writes and no read", async () => {
  const { worker, clock } = setUp();
  const orders = pipeline().use(idempotency({ store: worker.store }));

  await deliver(orders, clock, event("orders"));

  expect(countOf(worker.calls)).toEqual({ persist: 2 });
});

test("a duplicate costs one refused write and one read", async () => {
  const { worker, clock } = setUp();
  const orders = pipeline().use(idempotency({ store: worker.store }));
  await deliver(orders, clock, event("orders"));
  const before = worker.calls.length;

  await deliver(orders, clock, event("orders"));

  expect(countOf(worker.calls.slice(before))).toEqual({ persist: 1, lookUp: 1 });
});

test("where reads are cheap a duplicate costs one read, and a message one more read", async () => {
  const clock = virtualClock();
  const worker = workerOn(memoryEventStore({ clock }), { cheapReads: true });
  const orders = pipeline().use(idempotency({ store: worker.store }));

  await deliver(orders, clock, event("orders"));
  const first = countOf(worker.calls);
  await deliver(orders, clock, event("orders"));

  expect(first).toEqual({ lookUp: 1, persist: 2 });
  expect(countOf(worker.calls)).toEqual({ lookUp: 2, persist: 2 });
});

test("behind a joiner on the same store the steps of the adopted claim survive a failure", async () => {
  const { worker, clock } = setUp();
  let charges = 0;
  const orders = pipeline()
    .use(joiner({ store: worker.store, condition: matchAll("event1") }))
    .use(idempotency({ store: worker.store }))
    .use(async (ctx) => {
      await ctx.step("charge", () => void (charges += 1));
      if (ctx.attempt === 1) throw new Error("sink down");
    });
  await deliver(orders, clock, event("event1"), { attempt: 1 }).catch(() => {});

  await deliver(orders, clock, event("event1"), { attempt: 2 });

  expect(charges).toBe(1);
});

test("the claim of another message is not adopted", async () => {
  const { worker, clock } = setUp();
  const claimed: string[] = [];
  const orders = pipeline()
    .use(idempotency({ store: worker.store, scope: "outer" }))
    .use((ctx, message, next) => next(ctx, { ...message, id: `${message.id}/part` }))
    .use(idempotency({ store: worker.store, scope: "inner" }))
    .use(async (ctx) => void claimed.push(ctx.claim.messageId));

  await deliver(orders, clock, event("orders"));

  expect(claimed).toEqual(["orders-a/part"]);
  expect(countOf(worker.calls)).toEqual({ persist: 4 });
});

test("a guard with a key of its own claims for itself", async () => {
  const { worker, clock } = setUp();
  const handled: Message[] = [];
  const orders = pipeline()
    .use(idempotency({ store: worker.store, scope: "by identity" }))
    .use(idempotency({ store: worker.store, scope: "by key", key: byMessageKey }))
    .use(async (_ctx, message) => void handled.push(message));

  await deliver(orders, clock, event("event1"));
  await deliver(orders, clock, event("event2"));

  expect(handled.map(({ id }) => id)).toEqual(["event1-a"]);
});

test("a guard adopts the claim of a guard in front of it on the same store", async () => {
  const { worker, clock } = setUp();
  const contexts: ClaimContext[] = [];
  const orders = pipeline()
    .use(idempotency({ store: worker.store, scope: "a" }))
    .use(idempotency({ store: worker.store, scope: "b" }))
    .use(async (ctx) => void contexts.push(ctx));

  await deliver(orders, clock, event("orders"));

  expect(countOf(worker.calls)).toEqual({ persist: 2 });
  expect(contexts).toHaveLength(1);
});

function setUp() {
  const clock = virtualClock();
  return { clock, worker: workerOn(memoryEventStore({ clock })) };
}

async function deliverAll(orders: Processor, clock: ReturnType<typeof virtualClock>): Promise<void> {
  for (const source of ["event1", "event2", "event3"]) await deliver(orders, clock, event(source));
}
