import { expect, test } from "vitest";

import type { ClaimContext } from "../../src/claims/guard.ts";
import type { Context } from "../../src/context.ts";

import { EventDriverError } from "../../src/errors.ts";
import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "./deliver.ts";
import { workerOn, writesClaim } from "./worker.ts";

const order = event("orders");
const isPersist = ({ operation }: { readonly operation: string }): boolean => operation === "persist";

test("a claim whose write was done but answered with an error is this owner's", async () => {
  const { worker, orders, clock, runs } = setUp();
  worker.failNext("after", isPersist);

  const delivery = await deliver(orders, clock, order);

  expect(delivery.ended).toBeUndefined();
  expect(runs()).toBe(1);
});

test("a claim whose write never happened fails the delivery retryably, and the next one runs the message", async () => {
  const { worker, orders, clock, runs } = setUp();
  worker.failNext("before", isPersist);

  const refusal = await failureOf(deliver(orders, clock, order));
  await deliver(orders, clock, order);

  expect(refusal).toMatchObject({ retryable: true });
  expect(runs()).toBe(1);
});

test("a claim that can be neither written nor read back fails with the first error", async () => {
  const { worker, orders, clock, runs } = setUp();
  const down = new Error("connection refused");
  worker.failNext("before", isPersist, down);
  worker.failNext("before", ({ operation }) => operation === "lookUp", new Error("connection refused again"));

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({ cause: down });
  expect(runs()).toBe(0);
});

test("a completion that was done but answered with an error counts", async () => {
  const { worker, orders, clock, runs } = setUp();
  worker.failNext("after", writesClaim("done"));

  const first = await deliver(orders, clock, order);
  const second = await deliver(orders, clock, order);

  expect([first.ended, second.ended]).toEqual([undefined, "duplicate"]);
  expect(runs()).toBe(1);
});

test("a completion that did not happen is written again", async () => {
  const { worker, orders, clock, runs } = setUp();
  for (let failure = 0; failure < 4; failure += 1) worker.failNext("before", writesClaim("done"));

  const first = deliver(orders, clock, order);
  await clock.advance(1_000);
  const second = await deliver(orders, clock, order);

  expect((await first).ended).toBeUndefined();
  expect(second.ended).toBe("duplicate");
  expect(runs()).toBe(1);
});

test("a completion is tried for as long as the lease lasts, and then the delivery fails retryably", async () => {
  const { worker, orders, clock } = setUp();
  for (let failure = 0; failure < 20; failure += 1) worker.failNext("before", writesClaim("done"));
  let failedAt = 0;

  const refusal = failureOf(deliver(orders, clock, order).finally(() => (failedAt = clock.now())));
  await clock.advance(20_000);

  expect(await refusal).toMatchObject({ retryable: true });
  expect(failedAt).toBeLessThanOrEqual(10_000);
  expect(failedAt).toBeGreaterThan(4_000);
});

test("a completion that the store refuses for good is not tried again", async () => {
  const { worker, orders, clock } = setUp();
  const full = new EventDriverError("ERR_STORE_FULL", { message: "disk full", retryable: false });
  worker.failNext("before", writesClaim("done"), full);

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({ code: "ERR_STORE_FULL" });
});

test("a renewal answered with an error is neither lost nor the end of the claim", async () => {
  const work = Promise.withResolvers<void>();
  const { worker, orders, clock, runs } = setUp(() => work.promise);
  const first = deliver(orders, clock, order);
  await clock.advance(0);
  worker.failNext("after", isPersist);
  worker.failNext("before", isPersist);

  await clock.advance(30_000);
  work.resolve();
  await clock.advance(0);
  const second = await deliver(orders, clock, order);

  expect((await first).ended).toBeUndefined();
  expect(second.ended).toBe("duplicate");
  expect(runs()).toBe(1);
});

test("a step whose record was done but answered with an error is not run again", async () => {
  let charges = 0;
  const { worker, orders, clock } = setUp((ctx) => ctx.step("charge", () => void (charges += 1)));
  worker.failNext("after", ({ message }) => String(message?.content).includes('"charge"'));

  await deliver(orders, clock, order);
  const second = await deliver(orders, clock, order);

  expect(charges).toBe(1);
  expect(second.ended).toBe("duplicate");
});

test("a release that cannot be written is logged, the failure is told, and the lease frees the message", async () => {
  const warnings: string[] = [];
  let runs = 0;
  const { worker, orders, clock } = setUp(async () => {
    runs += 1;
    if (runs === 1) throw new Error("sink down");
  });
  worker.failNext("before", writesClaim("released"));
  const logger = { debug() {}, info() {}, error() {}, warn: (_fields: object, text: string) => void warnings.push(text) };

  const refusal = await failureOf(deliver(orders, clock, order, { logger }));
  await clock.advance(10_000);
  await deliver(orders, clock, order);

  expect(refusal).toMatchObject({ message: expect.stringContaining("sink down") });
  expect(warnings).toEqual(["a claim was not released, and waits for the end of its lease"]);
  expect(runs).toBe(2);
});

test("a write of its own that lands late does not cost an owner its claim", async () => {
  const clock = virtualClock();
  const store = memoryEventStore({ clock });
  const worker = workerOn(store);
  const work = Promise.withResolvers<void>();
  const orders = pipeline()
    .use(idempotency({ store: worker.store, wait: 0 }))
    .use(() => work.promise);
  const first = deliver(orders, clock, order);
  await clock.advance(0);
  const claims = store.scope("idempotency");
  // The renewal is answered with an error, and is written only after its owner has read back and found nothing of it.
  worker.failNext("before", isPersist);
  await clock.advance(3_334);
  const [late] = worker.calls.filter(isPersist).slice(-1);
  const found = await claims.lookUp(late?.key ?? "", "~claim");
  if (late?.message !== undefined && found !== undefined) await claims.persist(late.message, { expected: found.revision });

  work.resolve();
  await clock.advance(1_000);

  expect((await first).ended).toBeUndefined();
  expect((await deliver(orders, clock, order)).ended).toBe("duplicate");
});

test("an entry in the scope that is no claim is refused as corrupt", async () => {
  const clock = virtualClock();
  const store = memoryEventStore({ clock });
  const orders = pipeline().use(idempotency({ store }));
  await deliver(orders, clock, order);
  const [key = ""] = await store.scope("idempotency").listKeys({ limit: 1 });
  await store.scope("idempotency").persist(event("~claim", { key, content: "not json, and secret" }));

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({ code: "ERR_STORE_CORRUPT", retryable: false, message: expect.not.stringContaining("secret") });
});

function setUp(handle: (ctx: Context & ClaimContext) => Promise<void> = async () => {}) {
  const clock = virtualClock();
  const worker = workerOn(memoryEventStore({ clock }));
  let runs = 0;
  const orders = pipeline()
    .use(idempotency({ store: worker.store, wait: 0 }))
    .use(async (ctx) => {
      runs += 1;
      await handle(ctx);
    });
  return { clock, worker, orders, runs: () => runs };
}
