import { expect, test } from "vitest";

import { createMessage, type Message } from "../../src/message.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { nothing } from "../../src/stores/event-store.ts";

test("storedAt and readAt are read on the clock that was given", async () => {
  const clock = steppingClock(1_000);
  const store = memoryEventStore({ clock });

  await store.persist(message("order-1"));
  clock.step(250);

  expect(await store.lookUp("order-1", "event1")).toMatchObject({ storedAt: 1_000, readAt: 1_250 });
  expect(await store.lookUpByKey("order-1")).toMatchObject([{ storedAt: 1_000, readAt: 1_250 }]);
});

test("a look-up that finds nothing is answered by one promise, in every scope, which nobody need wait for", async () => {
  const store = memoryEventStore();

  const answers = [store.lookUp("order-1", "event1"), store.scope("scope").lookUp("order-2", "event2")];
  await store.persist(message("order-1"));
  const found = store.lookUp("order-1", "event1");

  expect(answers.every((answer) => answer === nothing)).toBe(true);
  await expect(nothing).resolves.toBeUndefined();
  expect(found).not.toBe(nothing);
});

test("an expired entry is there, and in the way of others, as long as nothing is written", async () => {
  const clock = steppingClock(0);
  const store = memoryEventStore({ clock });
  await store.persist(message("order-1"), { expiresAt: 10 });

  clock.step(1_000);

  expect(await store.lookUp("order-1", "event1")).toBeDefined();
  await expect(store.persist(message("order-1"), { expected: "absent" })).rejects.toMatchObject({ code: "ERR_REVISION_CONFLICT" });
});

test("an entry that is written past its own time is there afterwards", async () => {
  const store = memoryEventStore({ clock: steppingClock(1_000) });
  await store.persist(message("order-1"), { expiresAt: 500 });

  await store.persist(message("order-1"), { expiresAt: 600 });

  expect(await store.lookUp("order-1", "event1")).toMatchObject({ expiresAt: 600 });
});

test("a write removes what has expired, two entries at most, oldest first and in every scope", async () => {
  const clock = steppingClock(0);
  const store = memoryEventStore({ clock });
  const scope = store.scope("scope");
  await store.persist(message("second"), { expiresAt: 20 });
  await scope.persist(message("first"), { expiresAt: 10 });
  await store.persist(message("third"), { expiresAt: 1_000 });
  clock.step(1_000);

  await store.scope("another").persist(message("order-1"));
  const left = [await scope.listKeys({ limit: 10 }), await store.listKeys({ limit: 10 })];
  await store.scope("another").persist(message("order-1"));

  expect(left).toEqual([[], ["third"]]);
  expect(await store.listKeys({ limit: 10 })).toEqual([]);
});

test("an entry that expires later than it did does not hold up the removal of others", async () => {
  const clock = steppingClock(0);
  const store = memoryEventStore({ clock });
  await store.persist(message("postponed"), { expiresAt: 10 });
  await store.persist(message("expired"), { expiresAt: 20 });
  await store.persist(message("postponed"), { expiresAt: 10_000 });
  clock.step(1_000);

  await store.scope("another").persist(message("order-1"));

  expect(await store.listKeys({ limit: 10 })).toEqual(["postponed"]);
});

test("an entry that is written again has the time of that writing", async () => {
  const clock = steppingClock(1_000);
  const store = memoryEventStore({ clock });
  await store.persist(message("order-1"));
  clock.step(250);

  await store.persist(message("order-1"));

  expect(await store.lookUp("order-1", "event1")).toMatchObject({ storedAt: 1_250 });
});

test("entries that expire do not pile up, however many are written", async () => {
  const clock = steppingClock(0);
  const store = memoryEventStore({ clock });

  for (let index = 0; index < 10_000; index += 1) {
    await store.persist(message(`order-${index}`), { dueAt: clock.now() + 50, expiresAt: clock.now() + 100 });
    clock.step(1);
  }

  expect((await store.listKeys({ limit: 10_000 })).length).toBeLessThanOrEqual(101);
  expect((await store.listDue({ before: Infinity, limit: 10_000 })).length).toBeLessThanOrEqual(101);
});

test("listDue gives entries of the same time by key and then by source", async () => {
  const store = memoryEventStore();
  for (const [key, source] of [
    ["b", "2"],
    ["a", "2"],
    ["b", "1"],
    ["a", "1"],
  ] as const)
    await store.persist(message(key, source), { dueAt: 5 });

  const due = await store.listDue({ before: 5, limit: 10 });

  expect(due.map(({ key, source }) => key + source)).toEqual(["a1", "a2", "b1", "b2"]);
});

function message(key: string, source = "event1"): Message {
  return createMessage({ id: key, key, source, content: "{}" });
}

function steppingClock(start: number): { now: () => number; after: () => () => void; step: (milliseconds: number) => void } {
  let now = start;
  return { now: () => now, after: () => () => undefined, step: (milliseconds) => void (now += milliseconds) };
}
