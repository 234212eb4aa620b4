import { expect, test } from "vitest";

import type { ClaimContext } from "../../src/claims/guard.ts";
import type { Context } from "../../src/context.ts";
import type { Message } from "../../src/message.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { TerminalError } from "../../src/errors.ts";
import { idempotency, type IdempotencyOptions } from "../../src/handlers/idempotency/idempotency.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "./deliver.ts";
import { type ParkingLot, parkingLot } from "./parking-lot.ts";
import { workerOn } from "./worker.ts";

const order = event("orders");
const noSuchCustomer = new TerminalError("no such customer");

test("a terminal failure is put aside once, and later duplicates are done with", async () => {
  const { clock, store } = setUp();
  const { orders, lot, runs } = ordersOn(store, () => Promise.reject(noSuchCustomer));

  await deliver(orders, clock, order);
  const second = await deliver(orders, clock, order);

  expect(lot.parked).toEqual([{ message: order, error: noSuchCustomer }]);
  expect(second.ended).toBe("duplicate");
  expect(runs()).toBe(1);
});

test("a failure that nobody has put aside is put aside from a duplicate, without running the message again", async () => {
  const { clock, store } = setUp();
  const undead = pipeline()
    .use(idempotency({ store: workerOn(store).store }))
    .use(() => Promise.reject(noSuchCustomer));
  await failureOf(deliver(undead, clock, order));
  const { orders, lot, runs } = ordersOn(store, async () => {});

  const second = await deliver(orders, clock, order);
  const third = await deliver(orders, clock, order);

  expect(lot.parked).toMatchObject([{ message: order, error: { code: "ERR_TERMINAL" } }]);
  expect([second.ended, third.ended]).toEqual([undefined, "duplicate"]);
  expect(runs()).toBe(0);
});

test("without a limit a message that crashes its process is begun again each time", async () => {
  const { clock, store } = setUp();
  for (let crash = 0; crash < 15; crash += 1) await crashOn(store, clock);
  const { orders, runs } = withoutLot(store);

  await deliver(orders, clock, order);

  expect(runs()).toBe(1);
});

test("a message that was begun maxAttempts times without an end fails for good as crashed", async () => {
  const { clock, store } = setUp();
  for (let crash = 0; crash < 3; crash += 1) await crashOn(store, clock, { maxAttempts: 3 });
  const { orders, runs } = withoutLot(store, { maxAttempts: 3 });

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({
    code: "ERR_CRASHED",
    retryable: false,
    message: expect.stringContaining('message "orders-a" was begun 3 times'),
  });
  expect(runs()).toBe(0);
});

test("one attempt below the limit a message is still run", async () => {
  const { clock, store } = setUp();
  for (let crash = 0; crash < 2; crash += 1) await crashOn(store, clock, { maxAttempts: 3 });
  const { orders, runs } = withoutLot(store, { maxAttempts: 3 });

  await deliver(orders, clock, order);

  expect(runs()).toBe(1);
});

test("an orderly failure starts the count of crashes anew", async () => {
  const { clock, store } = setUp();
  await crashOn(store, clock, { maxAttempts: 2 });
  const failing = pipeline()
    .use(idempotency({ store: workerOn(store).store, maxAttempts: 2 }))
    .use(() => Promise.reject(new Error("sink down")));
  await failureOf(deliver(failing, clock, order));
  await crashOn(store, clock, { maxAttempts: 2 });
  const { orders, runs } = withoutLot(store, { maxAttempts: 2 });

  await deliver(orders, clock, order);

  expect(runs()).toBe(1);
});

test("behind a dead letter the tenth crash is the last, and the message is put aside", async () => {
  const { clock, store } = setUp();
  for (let crash = 0; crash < 10; crash += 1) await crashOn(store, clock);
  const { orders, lot, runs } = ordersOn(store, async () => {});

  await deliver(orders, clock, order);
  const second = await deliver(orders, clock, order);

  expect(lot.parked).toMatchObject([{ message: order, error: { code: "ERR_CRASHED" } }]);
  expect(second.ended).toBe("duplicate");
  expect(runs()).toBe(0);
});

test("a terminal failure that could not be recorded is told all the same, and logged", async () => {
  const { clock, store } = setUp();
  const warnings: string[] = [];
  const worker = workerOn(store);
  const orders = pipeline()
    .use(idempotency({ store: worker.store }))
    .use(() => {
      worker.failNext("before", () => true, noSuchCustomer);
      worker.failNext("before", () => true, noSuchCustomer);
      return Promise.reject(new TerminalError("no such product"));
    });
  const logger = { debug() {}, info() {}, error() {}, warn: (_fields: object, text: string) => void warnings.push(text) };

  const refusal = await failureOf(deliver(orders, clock, order, { logger }));

  expect(refusal).toMatchObject({ code: "ERR_TERMINAL", message: expect.stringContaining("no such product") });
  expect(warnings).toEqual(["a terminal failure was not recorded; a redelivery runs the message again"]);
});

type Handle = (ctx: Context & ClaimContext, message: Message) => Promise<void>;

function setUp() {
  const clock = virtualClock();
  return { clock, store: memoryEventStore({ clock }) };
}

function ordersOn(shared: EventStore, handle: Handle) {
  const lot: ParkingLot = parkingLot();
  let runs = 0;
  const orders = pipeline()
    .use(lot)
    .use(idempotency({ store: workerOn(shared).store }))
    .use((ctx, message) => {
      runs += 1;
      return handle(ctx, message);
    });
  return { orders, lot, runs: () => runs };
}

function withoutLot(shared: EventStore, options: Partial<IdempotencyOptions> = {}) {
  let runs = 0;
  const orders = pipeline()
    .use(idempotency({ store: workerOn(shared).store, ...options }))
    .use(async () => void (runs += 1));
  return { orders, runs: () => runs };
}

/** A process begins the message, dies of it, and its lease runs out. */
async function crashOn(
  shared: EventStore,
  clock: ReturnType<typeof virtualClock>,
  options: Partial<IdempotencyOptions> = {},
): Promise<void> {
  const worker = workerOn(shared);
  const orders = pipeline()
    .use(idempotency({ store: worker.store, ...options }))
    .use(() => new Promise(() => worker.crash()));
  void deliver(orders, clock, order);
  await clock.advance(10_000);
}
