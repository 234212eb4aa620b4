import { expect, test } from "vitest";

import type { ClaimContext } from "../../src/claims/guard.ts";
import type { Context } from "../../src/context.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { TerminalError } from "../../src/errors.ts";
import { idempotency, type IdempotencyOptions } from "../../src/handlers/idempotency/idempotency.ts";
import { identityOf } from "../../src/message.ts";
import { pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "./deliver.ts";
import { interceptedStore } from "./intercepted-store.ts";
import { type Worker, workerOn, writesClaim } from "./worker.ts";

const order = event("orders");

test("a message whose process has died is taken over as soon as its lease is over", async () => {
  const { clock, store } = setUp();
  const dying = processOn(store, never);
  const healthy = processOn(store, succeed);
  void deliver(dying.orders, clock, order);
  await clock.advance(0);
  dying.crash();

  await clock.advance(9_999);
  const tooEarly = failureOf(deliver(healthy.orders, clock, order));
  await clock.advance(0);
  await clock.advance(1);
  const inTime = await deliver(healthy.orders, clock, order);

  expect(await tooEarly).toMatchObject({ code: "ERR_IN_PROGRESS" });
  expect(inTime.ended).toBeUndefined();
});

test("a handler that takes many leases keeps its claim, for it is renewed at a third of the lease", async () => {
  const { clock, store } = setUp();
  const work = Promise.withResolvers<void>();
  const slow = processOn(store, () => work.promise);
  const other = processOn(store, succeed);
  const first = deliver(slow.orders, clock, order);
  await clock.advance(0);

  await clock.advance(95_000);
  const duplicate = await failureOf(deliver(other.orders, clock, order));
  work.resolve();

  expect(duplicate).toMatchObject({ code: "ERR_IN_PROGRESS" });
  expect((await first).ended).toBeUndefined();
  expect(renewalsOf(slow)).toBe(28);
});

test("nothing is renewed any more when the message is done", async () => {
  const { clock, store } = setUp();
  const worker = processOn(store, succeed);

  await deliver(worker.orders, clock, order);
  const calls = worker.calls.length;
  await clock.advance(60_000);

  expect(worker.calls).toHaveLength(calls);
  expect(clock.pending).toBe(0);
});

test("nothing is renewed any more when the message has failed", async () => {
  const { clock, store } = setUp();
  const worker = processOn(store, () => Promise.reject(new Error("sink down")));

  await failureOf(deliver(worker.orders, clock, order));
  const calls = worker.calls.length;
  await clock.advance(60_000);

  expect(worker.calls).toHaveLength(calls);
  expect(clock.pending).toBe(0);
});

test("an owner whose lease was lost finds its signal aborted with the reason", async () => {
  const { clock, store } = setUp();
  const reasons: unknown[] = [];
  const paused = processOn(store, async (ctx) => {
    ctx.signal.addEventListener("abort", () => reasons.push(ctx.signal.reason));
    await never();
  });
  const { resume } = await loseLease(paused, store, clock);

  resume();
  await clock.advance(0);

  expect(reasons).toMatchObject([{ code: "ERR_LEASE_LOST", retryable: true }]);
});

test("an owner that asks for its signal only after the lease was lost finds it aborted", async () => {
  const { clock, store } = setUp();
  const work = Promise.withResolvers<void>();
  let seen: AbortSignal | undefined;
  const paused = processOn(store, async (ctx) => {
    await work.promise;
    seen = ctx.signal;
  });
  const { resume } = await loseLease(paused, store, clock);
  resume();
  await clock.advance(0);

  work.resolve();
  await clock.advance(0);

  expect(seen?.reason).toMatchObject({ code: "ERR_LEASE_LOST" });
});

test("the late success of an owner whose lease was lost is reported as lost and changes nothing", async () => {
  const { clock, store } = setUp();
  const work = Promise.withResolvers<void>();
  const paused = processOn(store, () => work.promise);
  const { resume, refusal } = await loseLease(paused, store, clock);
  const completed = await claimOf(store);

  work.resolve();
  resume();
  await clock.advance(0);

  expect(await refusal).toMatchObject({ code: "ERR_LEASE_LOST", retryable: true });
  expect(await claimOf(store)).toEqual(completed);
});

test("the late failure of an owner whose lease was lost does not release the message", async () => {
  const { clock, store } = setUp();
  const work = Promise.withResolvers<void>();
  const paused = processOn(store, () => work.promise);
  const { resume, refusal } = await loseLease(paused, store, clock);
  const completed = await claimOf(store);

  work.reject(new Error("connection reset"));
  resume();
  await clock.advance(0);

  expect(await refusal).toMatchObject({ retryable: true });
  expect(await claimOf(store)).toEqual(completed);
});

test("a terminal failure of an owner that knows its lease is lost is told as the lost lease, for it decides nothing any more", async () => {
  const { clock, store } = setUp();
  const work = Promise.withResolvers<void>();
  const paused = processOn(store, () => work.promise);
  const { resume, refusal } = await loseLease(paused, store, clock);
  resume();
  await clock.advance(0);

  work.reject(new TerminalError("no such customer"));

  expect(await refusal).toMatchObject({ code: "ERR_LEASE_LOST", retryable: true });
});

test("the fence grows with each owner, by the clock or by one", async () => {
  const { clock, store } = setUp();
  const fences: number[] = [];
  const dies = async (ctx: ClaimContext): Promise<void> => {
    fences.push(ctx.fence);
    await never();
  };
  for (let run = 0; run < 3; run += 1) {
    const worker = processOn(store, dies);
    void deliver(worker.orders, clock, order);
    await clock.advance(0);
    worker.crash();
    await clock.advance(10_000);
  }

  expect(fences).toEqual([1_000_000, 1_010_000, 1_020_000]);
});

test("the fence grows on a release within one millisecond, and over a clock that was set back", async () => {
  const store = memoryEventStore();
  const fences: number[] = [];
  const fails = async (ctx: ClaimContext): Promise<void> => {
    fences.push(ctx.fence);
    throw new Error("sink down");
  };

  for (const now of [5_000, 5_000, 20]) await failureOf(deliver(processOn(store, fails).orders, virtualClock({ now }), order));

  expect(fences).toEqual([5_000, 5_001, 5_002]);
});

test("work does not begin before a lease that ran out while it was claimed has been renewed", async () => {
  const { clock, store } = setUp();
  const begun: number[] = [];
  const slow = processOn(store, async () => void begun.push(clock.now()));
  const release = slow.holdNext(({ operation }) => operation === "persist");
  const first = deliver(slow.orders, clock, order);
  await clock.advance(12_000);
  const renewed = slow.holdNext(({ operation }) => operation === "persist");

  release();
  await clock.advance(500);
  const begunBeforeRenewal = begun.length;
  renewed();
  await clock.advance(0);

  expect((await first).ended).toBeUndefined();
  expect(begunBeforeRenewal).toBe(0);
  expect(begun).toHaveLength(1);
});

test("on a store without a clock a lease lasts longer by the skew allowance", async () => {
  const { clock, store: shared } = setUp();
  const store = withoutClock(shared);
  const dying = processOn(store, never);
  const healthy = processOn(store, succeed, { skewAllowance: 2_000 });
  void deliver(dying.orders, clock, order);
  await clock.advance(0);
  dying.crash();

  await clock.advance(11_999);
  const tooEarly = await failureOf(deliver(healthy.orders, clock, order));
  await clock.advance(1);
  const inTime = await deliver(healthy.orders, clock, order);

  expect(tooEarly).toMatchObject({ code: "ERR_IN_PROGRESS" });
  expect(inTime.ended).toBeUndefined();
});

test("on a store with a clock the taker's own clock does not matter", async () => {
  const { clock, store } = setUp();
  const dying = processOn(store, never);
  const ahead = processOn(store, succeed);
  void deliver(dying.orders, clock, order);
  await clock.advance(0);
  dying.crash();

  const refusal = await failureOf(deliver(ahead.orders, virtualClock({ now: 9_000_000 }), order));

  expect(refusal).toMatchObject({ code: "ERR_IN_PROGRESS" });
});

function setUp() {
  const clock = virtualClock({ now: 1_000_000 });
  return { clock, store: memoryEventStore({ clock }) };
}

interface Process extends Worker {
  readonly orders: Processor;
}

function processOn(
  shared: EventStore,
  handle: (ctx: Context & ClaimContext) => Promise<void>,
  options: Partial<IdempotencyOptions> = {},
): Process {
  const worker = workerOn(shared);
  const orders = pipeline()
    .use(idempotency({ store: worker.store, wait: 0, ...options }))
    .use(handle);
  return { ...worker, orders };
}

/** Has the message begun by a process that then hangs before its first renewal, and completed by another one meanwhile. */
async function loseLease(paused: Process, store: EventStore, clock: ReturnType<typeof virtualClock>) {
  const refusal = failureOf(deliver(paused.orders, clock, order));
  await clock.advance(0);
  const resume = paused.holdNext(({ operation }) => operation === "persist");
  await clock.advance(10_000);
  await deliver(processOn(store, succeed).orders, clock, order);
  return { resume, refusal };
}

function renewalsOf({ calls }: Process): number {
  const [_start, ...renewals] = calls.filter(writesClaim("running"));
  return renewals.length;
}

function claimOf(store: EventStore) {
  return store.scope("idempotency").lookUp(identityOf(order), "~claim");
}

/** A store that cannot tell when an entry was written. */
function withoutClock(store: EventStore): EventStore {
  return {
    ...interceptedStore(store, (_call, run) => run()),
    features: { compareAndSet: true, clock: false },
    async lookUp(key, source, options) {
      const stored = await store.lookUp(key, source, options);
      return stored && { message: stored.message, revision: stored.revision };
    },
    scope: (name) => withoutClock(store.scope(name)),
  };
}

async function succeed(): Promise<void> {}

function never(): Promise<never> {
  return new Promise(() => {});
}
