import { expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";

import { failOnConflict, replayOnConflict } from "../../../src/handlers/idempotency/conflict.ts";
import { idempotency } from "../../../src/handlers/idempotency/idempotency.ts";
import { withContent } from "../../../src/message.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { deliver, event } from "../../claims/deliver.ts";

const receipt = event("receipts", { id: "receipt-1", content: '{"paid":true}', attributes: { client: "shop" } });

test("a skipped duplicate is given the reply of the first delivery", async () => {
  const clock = virtualClock();
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }) }))
    .use(async (ctx) => ctx.reply(receipt));
  const first = await deliver(orders, clock, event("orders"));

  const second = await deliver(orders, clock, event("orders"));

  expect(first).toEqual({ ended: undefined, reply: receipt });
  expect(second).toEqual({ ended: "duplicate", reply: receipt });
});

test("of several replies the last one is kept", async () => {
  const clock = virtualClock();
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }) }))
    .use(async (ctx) => {
      ctx.reply(event("receipts", { id: "draft" }));
      ctx.reply(receipt);
    });
  await deliver(orders, clock, event("orders"));

  const { reply } = await deliver(orders, clock, event("orders"));

  expect(reply).toEqual(receipt);
});

test("the reply of a failed attempt is not kept", async () => {
  const clock = virtualClock();
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }) }))
    .use(async (ctx) => {
      if (ctx.attempt > 1) return;
      ctx.reply(receipt);
      throw new Error("sink down");
    });
  await expect(deliver(orders, clock, event("orders"), { attempt: 1 })).rejects.toMatchObject({ retryable: true });
  await deliver(orders, clock, event("orders"), { attempt: 2 });

  const { reply } = await deliver(orders, clock, event("orders"), { attempt: 3 });

  expect(reply).toBeUndefined();
});

test("failOnConflict fails a duplicate of a completed message for good", async () => {
  const clock = virtualClock();
  const orders = pipeline().use(idempotency({ store: memoryEventStore({ clock }), onConflict: failOnConflict }));
  await deliver(orders, clock, event("orders"));

  const duplicate = deliver(orders, clock, event("orders"));

  await expect(duplicate).rejects.toMatchObject({ code: "ERR_DUPLICATE", retryable: false });
});

test("a rule of one's own decides on a duplicate with the reply at hand", async () => {
  const clock = virtualClock();
  const conflicts: unknown[] = [];
  const orders = pipeline()
    .use(
      idempotency({
        store: memoryEventStore({ clock }),
        onConflict: (_ctx, message, { reply }) => void conflicts.push([message.id, reply?.id]),
      }),
    )
    .use(async (ctx) => ctx.reply(receipt));
  await deliver(orders, clock, event("orders"));

  await deliver(orders, clock, event("orders"));

  expect(conflicts).toEqual([["orders-a", "receipt-1"]]);
});

test.for([
  ["text", '{"total":1.10}'],
  ["bytes", new Uint8Array([0, 255, 128, 10])],
  ["no bytes at all", new Uint8Array()],
] as const)("replayOnConflict passes on what came first, %s, as it was", async ([_what, content]) => {
  const clock = virtualClock();
  const handled: Message[] = [];
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }), onConflict: replayOnConflict }))
    .use(async (_ctx, message) => void handled.push(message));
  const original = event("orders", {
    content,
    time: "2024-01-02T03:04:05.123456789Z",
    type: "created",
    origin: "/shop#orders",
    attributes: { client: "a" },
  });
  await deliver(orders, clock, original);

  await deliver(orders, clock, withContent(original, "another content under the same identity"));

  expect(handled).toEqual([original, original]);
});

test("a replay is given the stored results of steps and does not run them again", async () => {
  const clock = virtualClock();
  let charges = 0;
  const receipts: number[] = [];
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }), onConflict: replayOnConflict }))
    .use(async (ctx) => void receipts.push(await ctx.step("charge", () => (charges += 1))));
  await deliver(orders, clock, event("orders"));

  await deliver(orders, clock, event("orders"));

  expect(receipts).toEqual([1, 1]);
  expect(charges).toBe(1);
});

test("a replay sees the fence of the delivery that was completed", async () => {
  const clock = virtualClock({ now: 5_000 });
  const fences: number[] = [];
  const orders = pipeline()
    .use(idempotency({ store: memoryEventStore({ clock }), onConflict: replayOnConflict }))
    .use(async (ctx) => void fences.push(ctx.fence));
  await deliver(orders, clock, event("orders"));
  await clock.advance(1_000);

  await deliver(orders, clock, event("orders"));

  expect(fences).toEqual([5_000, 5_000]);
});
