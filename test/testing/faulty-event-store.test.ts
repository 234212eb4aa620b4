import { type Fault, faultyEventStore, type FaultyEventStore, type StoreCall, virtualClock } from "event-driver/testing";
import { expect, test } from "vitest";

import type { EventStore } from "../../src/stores/event-store.ts";

import { createMessage } from "../../src/message.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

const message = createMessage({ id: "1", key: "order-1", source: "event1", content: "{}" });

test("a call that fails before the store has done it leaves no trace", async () => {
  const { inner, store } = storeWith({ kind: "fail", when: "before" });

  await expect(store.persist(message)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });

  expect(await inner.lookUp("order-1", "event1")).toBeUndefined();
});

test("a call that fails after the store has done it rejects all the same", async () => {
  const { inner, store } = storeWith({ kind: "fail", when: "after" });

  await expect(store.persist(message)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });

  expect(await inner.lookUp("order-1", "event1")).toBeDefined();
});

test("a conflict is lost with the answer when a call fails after the store has decided it", async () => {
  const { inner, store } = storeWith({ kind: "fail", when: "after" });
  await inner.persist(message);

  await expect(store.persist(message, { expected: "absent" })).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
});

test.each(["before", "after"] as const)("a call fails with the error that was given for it, %s the store has done it", async (when) => {
  const error = new Error("connection reset");
  const { store } = storeWith({ kind: "fail", when, error });

  await expect(store.persist(message)).rejects.toBe(error);
});

test("a delay before the call holds back its effect", async () => {
  const { clock, inner, store } = storeWith({ kind: "delay", when: "before", milliseconds: 100 });

  const persisting = store.persist(message);
  await clock.advance(99);
  const early = await inner.lookUp("order-1", "event1");
  await clock.advance(1);
  await persisting;

  expect(early).toBeUndefined();
  expect(await inner.lookUp("order-1", "event1")).toBeDefined();
});

test("a delay after the call holds back only its answer", async () => {
  const { clock, inner, store } = storeWith({ kind: "delay", when: "after", milliseconds: 100 });
  const outcome = outcomeOf(store.persist(message));

  await clock.advance(99);
  const early = { settled: outcome.settled, stored: await inner.lookUp("order-1", "event1") };
  await clock.advance(1);

  expect(early).toMatchObject({ settled: false, stored: { message } });
  expect(outcome.settled).toBe(true);
});

test("a delayed call rejects with the reason of its signal when that aborts", async () => {
  const { inner, store } = storeWith({ kind: "delay", when: "before", milliseconds: 100 });
  const controller = new AbortController();

  const persisting = store.persist(message, { signal: controller.signal });
  controller.abort("given up");

  await expect(persisting).rejects.toBe("given up");
  expect(await inner.lookUp("order-1", "event1")).toBeUndefined();
});

test.each([
  { when: "before", stored: false },
  { when: "after", stored: true },
] as const)("a call that hangs $when its effect settles when its signal aborts", async ({ when, stored }) => {
  const { clock, inner, store } = storeWith({ kind: "hang", when });
  const controller = new AbortController();
  const outcome = outcomeOf(store.persist(message, { signal: controller.signal }));

  await clock.advance(1_000_000);
  const settledAlone = outcome.settled;
  controller.abort("given up");
  await clock.advance(0);

  expect([settledAlone, outcome.reason]).toEqual([false, "given up"]);
  expect((await inner.lookUp("order-1", "event1")) !== undefined).toBe(stored);
});

test.each([
  { when: "before", stored: false },
  { when: "after", stored: true },
] as const)("a crash $when the effect of a call leaves it unsettled", async ({ when, stored }) => {
  const { clock, inner, store } = storeWith({ kind: "crash", when });
  const outcome = outcomeOf(store.persist(message));

  await clock.advance(1_000);

  expect([outcome.settled, store.crashed]).toEqual([false, true]);
  expect((await inner.lookUp("order-1", "event1")) !== undefined).toBe(stored);
});

test("after a crash no call reaches the store, in no scope, and none settles", async () => {
  const asked: StoreCall[] = [];
  const { clock, inner, store } = storeWith(undefined, asked);
  const scope = store.scope("scope");

  store.crash();
  const outcomes = [store.persist(message), store.lookUp("order-1", "event1"), scope.persist(message)].map(outcomeOf);
  await clock.advance(1_000);

  expect(outcomes.map(({ settled }) => settled)).toEqual([false, false, false]);
  expect([await inner.listKeys({ limit: 1 }), await inner.scope("scope").listKeys({ limit: 1 }), asked]).toEqual([[], [], []]);
});

test.each([
  { when: "before", stored: false },
  { when: "after", stored: true },
] as const)("a call that is delayed $when its effect does not settle when its process crashes", async ({ when, stored }) => {
  const { clock, inner, store } = storeWith({ kind: "delay", when, milliseconds: 100 });
  const outcome = outcomeOf(store.persist(message));
  await clock.advance(50);

  store.crash();
  await clock.advance(1_000);

  expect(outcome.settled).toBe(false);
  expect((await inner.lookUp("order-1", "event1")) !== undefined).toBe(stored);
});

test("a crash is told once, however often it is asked for", () => {
  let crashes = 0;
  const store = faultyEventStore(memoryEventStore(), { decide: () => undefined, onCrash: () => (crashes += 1) });

  store.crash();
  store.crash();

  expect(crashes).toBe(1);
});

test("a late write rejects at once and lands later, even when its process has crashed meanwhile", async () => {
  const { clock, inner, store } = storeWith({ kind: "late-write", milliseconds: 6_000 });

  await expect(store.persist(message)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  store.crash();
  await clock.advance(5_999);
  const early = await inner.lookUp("order-1", "event1");
  await clock.advance(1);

  expect(early).toBeUndefined();
  expect(await inner.lookUp("order-1", "event1")).toBeDefined();
});

test("a late write lands even when its signal has aborted meanwhile", async () => {
  const { clock, inner, store } = storeWith({ kind: "late-write", milliseconds: 10 });
  const controller = new AbortController();
  await expect(store.persist(message, { signal: controller.signal })).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });

  controller.abort();
  await clock.advance(10);

  expect(await inner.lookUp("order-1", "event1")).toBeDefined();
});

test("a late write that meets a conflict changes nothing", async () => {
  const { clock, inner, store } = storeWith({ kind: "late-write", milliseconds: 10 });
  await expect(store.persist(message, { expected: "absent" })).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  const revision = await inner.persist(message);

  await clock.advance(10);

  expect(await inner.lookUp("order-1", "event1")).toMatchObject({ revision });
});

test("an aborted call rejects with the reason of its signal, whatever its fault", async () => {
  const { store } = storeWith({ kind: "fail", when: "before" });

  await expect(store.persist(message, { signal: AbortSignal.abort("given up") })).rejects.toBe("given up");
});

test("who decides is told the operation, the scope, the entry and the number of each call", async () => {
  const asked: StoreCall[] = [];
  const { store } = storeWith(undefined, asked);
  const inner = store.scope("outer").scope("inner");

  await store.persist(message);
  await inner.lookUp("order-2", "event2");
  await inner.lookUpByKey("order-2");
  await inner.listSourcesByKey("order-2");
  await inner.remove("order-2", "event2");
  await store.listDue({ before: 1, limit: 1 });
  await store.listKeys({ limit: 1 });

  const scope = ["outer", "inner"];
  expect(asked).toEqual([
    { operation: "persist", scope: [], key: "order-1", source: "event1", call: 1 },
    { operation: "lookUp", scope, key: "order-2", source: "event2", call: 2 },
    { operation: "lookUpByKey", scope, key: "order-2", source: undefined, call: 3 },
    { operation: "listSourcesByKey", scope, key: "order-2", source: undefined, call: 4 },
    { operation: "remove", scope, key: "order-2", source: "event2", call: 5 },
    { operation: "listDue", scope: [], key: undefined, source: undefined, call: 6 },
    { operation: "listKeys", scope: [], key: undefined, source: undefined, call: 7 },
  ]);
});

/** The first call meets the fault; the others are let be. */
function storeWith(
  fault: Fault | undefined,
  asked: StoreCall[] = [],
): { clock: ReturnType<typeof virtualClock>; inner: EventStore; store: FaultyEventStore } {
  const clock = virtualClock();
  const inner = memoryEventStore({ clock });
  const decide = (call: StoreCall): Fault | undefined => (asked.push(call) === 1 ? fault : undefined);
  return { clock, inner, store: faultyEventStore(inner, { decide, clock }) };
}

function outcomeOf(call: Promise<unknown>): { settled: boolean; reason: unknown } {
  const outcome: { settled: boolean; reason: unknown } = { settled: false, reason: undefined };
  call.then(
    () => (outcome.settled = true),
    (reason: unknown) => Object.assign(outcome, { settled: true, reason }),
  );
  return outcome;
}
