import { expect, test } from "vitest";

import type { ClaimContext } from "../../../src/claims/guard.ts";
import type { Context } from "../../../src/context.ts";
import type { Message } from "../../../src/message.ts";

import { createContext } from "../../../src/context.ts";
import { TerminalError } from "../../../src/errors.ts";
import { byMessageKey, idempotency, type IdempotencyOptions } from "../../../src/handlers/idempotency/idempotency.ts";
import { createMessage, identityOf } from "../../../src/message.ts";
import { pipeline, type Processor } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "../../claims/deliver.ts";
import { workerOn } from "../../claims/worker.ts";

test("the first delivery of a message runs the stages behind", async () => {
  const { orders, handled, clock } = setUp();

  const delivery = await deliver(orders, clock, event("orders"));

  expect(handled).toEqual([event("orders")]);
  expect(delivery.ended).toBeUndefined();
});

test("a second delivery of a completed message is skipped as a duplicate", async () => {
  const { orders, handled, clock } = setUp();
  await deliver(orders, clock, event("orders"));

  const delivery = await deliver(orders, clock, event("orders"));

  expect(handled).toHaveLength(1);
  expect(delivery.ended).toBe("duplicate");
});

test("on the memory store a new message is claimed by the time the call returns, for no look-up is waited for", async () => {
  const store = memoryEventStore();
  const orders = pipeline().use(idempotency({ store }));
  const message = event("orders");

  const delivery = orders.process(createContext(), message);
  const claimed = store.scope("idempotency").listKeys({ limit: 2 });
  await delivery;

  await expect(claimed).resolves.toEqual([identityOf(message)]);
});

test("messages of one id from different origins are different messages", async () => {
  const { orders, handled, clock } = setUp();

  await deliver(orders, clock, event("orders", { id: "1", origin: "/shops/1#orders" }));
  await deliver(orders, clock, event("orders", { id: "1", origin: "/shops/2#orders" }));

  expect(handled.map(identityOf)).toEqual(['["/shops/1#orders","1"]', '["/shops/2#orders","1"]']);
});

test("origin and id cannot be shifted into one another to look like another message", async () => {
  const { orders, handled, clock } = setUp();

  await deliver(orders, clock, event("a", { id: 'b","c' }));
  await deliver(orders, clock, event('a","b', { id: "c" }));

  expect(handled).toHaveLength(2);
});

test("by message key, one of several events of an order is processed", async () => {
  const { orders, handled, clock } = setUp({ key: byMessageKey });

  await deliver(orders, clock, event("event1"));
  const second = await deliver(orders, clock, event("event2"));
  await deliver(orders, clock, event("event1", { key: "order-2" }));

  expect(handled.map((message) => message.key)).toEqual(["order-1", "order-2"]);
  expect(second.ended).toBe("duplicate");
});

test("another fingerprint under the same key is refused for good, without the content in the error", async () => {
  const { orders, handled, clock } = setUp({ fingerprint: (message) => String(message.content) });
  await deliver(orders, clock, event("orders", { content: '{"total":12}' }));

  const changed = deliver(orders, clock, event("orders", { content: '{"total":9999}' }));

  await expect(changed).rejects.toMatchObject({
    code: "ERR_PAYLOAD_MISMATCH",
    retryable: false,
    message: expect.not.stringContaining("9999"),
  });
  expect(handled).toHaveLength(1);
});

test("the same fingerprint under the same key is a plain duplicate", async () => {
  const { orders, clock } = setUp({ fingerprint: (message) => String(message.content) });
  await deliver(orders, clock, event("orders", { content: '{"total":12}' }));

  const delivery = await deliver(orders, clock, event("orders", { content: '{"total":12}' }));

  expect(delivery.ended).toBe("duplicate");
});

test("what is stored holds no fingerprint in clear", async () => {
  const { orders, clock, store } = setUp({ fingerprint: () => "very secret" });

  await deliver(orders, clock, event("orders"));

  const stored = await store.scope("idempotency").lookUpByKey(identityOf(event("orders")));
  expect(stored).toHaveLength(1);
  expect(JSON.stringify(stored)).not.toContain("secret");
});

test("a message that was first seen without a fingerprint is a duplicate when there is one now", async () => {
  const store = memoryEventStore();
  const before = setUp({ store });
  await deliver(before.orders, before.clock, event("orders"));
  const after = setUp({ store: workerOn(store).store, fingerprint: () => "new" });

  const delivery = await deliver(after.orders, after.clock, event("orders"));

  expect(delivery.ended).toBe("duplicate");
});

test("the fingerprint that a message was first seen with is kept by whoever takes it over without one", async () => {
  const store = memoryEventStore();
  const first = setUp({ store, fingerprint: () => "first" }, failingOnce(new Error("charge: timed out")));
  await expect(deliver(first.orders, first.clock, event("orders"))).rejects.toMatchObject({ retryable: true });
  const without = setUp({ store: workerOn(store).store });
  await deliver(without.orders, without.clock, event("orders"));
  const last = setUp({ store: workerOn(store).store, fingerprint: () => "another" });

  const changed = deliver(last.orders, last.clock, event("orders"));

  await expect(changed).rejects.toMatchObject({ code: "ERR_PAYLOAD_MISMATCH" });
});

test("a retryable failure lets the next delivery run the message again at once", async () => {
  const { orders, handled, clock } = setUp({}, failingOnce(new Error("charge: timed out")));

  await expect(deliver(orders, clock, event("orders"))).rejects.toMatchObject({ code: "ERR_HANDLER_FAILED", retryable: true });
  await deliver(orders, clock, event("orders"));

  expect(handled).toHaveLength(1);
});

test("a terminal failure is told again to each duplicate, and the stages are not run again", async () => {
  let runs = 0;
  const { orders, clock } = setUp({}, async () => {
    runs += 1;
    throw new TerminalError("no such customer");
  });
  await expect(deliver(orders, clock, event("orders"))).rejects.toMatchObject({ code: "ERR_TERMINAL" });

  const again = deliver(orders, clock, event("orders"));

  await expect(again).rejects.toMatchObject({
    code: "ERR_TERMINAL",
    retryable: false,
    message: expect.stringContaining("no such customer"),
  });
  expect(runs).toBe(1);
});

test("a completed message is remembered for its retention, and may be forgotten after it", async () => {
  const { orders, handled, clock } = setUp({ retention: 60_000 });
  await deliver(orders, clock, event("orders"));

  await clock.advance(59_999);
  const remembered = await deliver(orders, clock, event("orders"));
  await clock.advance(1);
  await deliver(orders, clock, event("orders", { id: "any write lets the store clean up" }));
  await deliver(orders, clock, event("orders"));

  expect(remembered.ended).toBe("duplicate");
  expect(handled.map((message) => message.id)).toEqual(["orders-a", "any write lets the store clean up", "orders-a"]);
});

test("a message that failed and never comes again may be forgotten too, a lease later", async () => {
  const { orders, clock, store } = setUp({ retention: 60_000, lease: 9_000 }, failingOnce(new Error("sink down")));

  await failureOf(deliver(orders, clock, event("orders")));

  const claim = await store.scope("idempotency").lookUp(identityOf(event("orders")), "~claim");
  expect(claim?.expiresAt).toBe(clock.now() + 69_000);
});

test("the context behind tells the fence and which message is claimed", async () => {
  const seen: ClaimContext[] = [];
  const { orders, clock, store } = setUp({}, async (ctx) => void seen.push(ctx));

  await deliver(orders, clock, event("orders"));

  expect(seen).toMatchObject([{ fence: 1_000_000, claim: { messageId: "orders-a" } }]);
  expect(seen[0]?.claim.store).toBe(store);
});

test("a message passes through with content that no store could keep", async () => {
  const seen: unknown[] = [];
  const orders = pipeline<Message<{ total: bigint }>>()
    .use(idempotency({ store: memoryEventStore() }))
    .use(async (_ctx, order) => void seen.push(order.content.total));

  await orders.process(createContext(), createMessage({ key: "order-1", source: "orders", content: { total: 12n } }));

  expect(seen).toEqual([12n]);
});

type Handle = (ctx: Context & ClaimContext, message: Message) => Promise<void>;

function setUp(options: Partial<IdempotencyOptions> = {}, handle: Handle = async () => {}) {
  const clock = virtualClock({ now: 1_000_000 });
  const store = options.store ?? memoryEventStore({ clock });
  const handled: Message[] = [];
  const orders: Processor = pipeline()
    .use(idempotency({ ...options, store }))
    .use(async (ctx, message) => {
      await handle(ctx, message);
      handled.push(message);
    });
  return { clock, store, handled, orders };
}

function failingOnce(error: Error): Handle {
  let failed = false;
  return async () => {
    if (failed) return;
    failed = true;
    throw error;
  };
}
