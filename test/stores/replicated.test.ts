import fc from "fast-check";
import { expect, test, vi } from "vitest";

import type { Message } from "../../src/message.ts";
import type { DroppedWrite } from "../../src/stores/copy-queue.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { silentLogger } from "../../src/context.ts";
import { TerminalError } from "../../src/errors.ts";
import { createMessage } from "../../src/message.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { replicated, type ReplicatedOptions } from "../../src/stores/replicated.ts";
import { type Fault, faultyEventStore, type StoreCall } from "../../src/testing/faulty-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { withoutCompareAndSet } from "../claims/plain-store.ts";

test("writes and removals reach every copy, each in its scope, with dueAt and expiresAt", async () => {
  const [primary, one, other] = [memoryEventStore(), memoryEventStore(), memoryEventStore()];
  const store = replicated(primary, one, other);

  await store.persist(event("a"), { dueAt: 5, expiresAt: 8_640_000_000_000_000 });
  await store.scope("outer").scope("inner").persist(event("b"));
  await store.persist(event("gone", "order-2"));
  await store.remove("order-2", "event1");
  await store.close();

  for (const copy of [one, other]) {
    expect(await copy.lookUp("order-1", "event1")).toMatchObject({ message: event("a"), dueAt: 5, expiresAt: 8_640_000_000_000_000 });
    expect(await contentIn(copy.scope("outer").scope("inner"))).toBe("b");
    expect(await copy.listKeys({ limit: 10 })).toEqual(["order-1"]);
  }
});

test("a conditional write reaches a copy that cannot compare and set as one that always wins", async () => {
  const copy = memoryEventStore();
  await copy.persist(event("left over"));
  const store = replicated(memoryEventStore(), copy);

  const first = await store.persist(event("first"), { expected: "absent" });
  await store.persist(event("second"), { expected: first });
  await store.close();

  expect(await contentIn(copy)).toBe("second");
});

test("what the primary refuses reaches no copy", async () => {
  const copy = memoryEventStore();
  const store = replicated(memoryEventStore(), copy);
  await store.persist(event("kept"));

  await expect(store.persist(event("refused"), { expected: "absent" })).rejects.toMatchObject({ code: "ERR_REVISION_CONFLICT" });
  await expect(store.remove("order-1", "event1", { expected: "another" })).rejects.toMatchObject({ code: "ERR_REVISION_CONFLICT" });
  await store.close();

  expect(await contentIn(copy)).toBe("kept");
});

test("a copy that never answers keeps no caller waiting, and the lag says so", async () => {
  const { clock, store } = setUp(() => ({ kind: "hang", when: "before" }));

  await store.persist(event("a"));
  await clock.advance(700);
  await store.persist(event("b", "order-2"));

  expect(await contentIn(store)).toBe("a");
  expect(store.copies.map(({ lag, dropped }) => ({ ...lag, dropped }))).toEqual([{ queued: 2, age: 700, dropped: 0 }]);
});

test("a copy that has taken everything has no lag", async () => {
  const { clock, store } = setUp(() => ({ kind: "delay", when: "before", milliseconds: 100 }));

  await store.persist(event("a"));
  await clock.advance(100);

  expect(store.copies.map(({ lag }) => lag)).toEqual([{ queued: 0, age: 0 }]);
});

test("what the caller does to its bytes after the call changes nothing on the copies", async () => {
  const { clock, store, copy } = setUp(({ call }) => (call === 1 ? { kind: "delay", when: "before", milliseconds: 100 } : undefined));
  const bytes = Uint8Array.of(1, 2, 3);

  const written = store.persist(event(bytes));
  bytes.fill(9);
  await written;
  await clock.advance(100);

  expect(await contentIn(copy)).toEqual(Uint8Array.of(1, 2, 3));
});

test("a signal that aborts after the primary has the write does not keep it from the copies", async () => {
  const { clock, store, copy } = setUp(({ call }) => (call === 1 ? { kind: "delay", when: "before", milliseconds: 100 } : undefined));
  const controller = new AbortController();

  await store.persist(event("a"), { signal: controller.signal });
  controller.abort();
  await clock.advance(100);

  expect(await contentIn(copy)).toBe("a");
});

test("a copy that fails is tried again with growing pauses, and fails no caller", async () => {
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void warnings.push(fields) };
  const { clock, store, copy, calls } = setUp(({ call }) => (call <= 3 ? { kind: "fail", when: "before" } : undefined), {
    baseDelay: 100,
    maxDelay: 250,
    random: () => 1,
    logger,
  });

  await store.persist(event("a"));
  const made: number[] = [];
  for (const delay of [0, 100, 200, 249]) {
    await clock.advance(delay);
    made.push(calls.length);
  }
  await clock.advance(1);

  expect(made).toEqual([1, 2, 3, 3]);
  expect(await contentIn(copy)).toBe("a");
  expect(warnings).toEqual([expect.objectContaining({ copy: 0, key: "order-1", source: "event1" })]);
});

test("a key whose write fails waits, and others pass it", async () => {
  const { clock, store, copy } = setUp(
    ({ key, call }) => (key === "order-1" && call === 1 ? { kind: "fail", when: "before" } : undefined),
    {
      concurrency: 1,
      random: () => 1,
    },
  );

  await store.persist(event("a", "order-1"));
  await store.persist(event("b", "order-1"));
  await store.persist(event("c", "order-2"));
  await clock.advance(0);
  const meanwhile = await copy.listKeys({ limit: 10 });
  await clock.advance(100);

  expect(meanwhile).toEqual(["order-2"]);
  expect(await contentIn(copy)).toBe("b");
});

test("the writes of one key reach a copy in their order, however long each of them takes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom("order-1", "order-2", "order-3"), fails: fc.nat(2), delay: fc.nat(50) }), {
        maxLength: 20,
      }),
      fc.integer({ min: 1, max: 5 }),
      async (writes, concurrency) => {
        const clock = virtualClock();
        const seen = new Map<string, string[]>();
        const failures = writes.map(({ fails }) => fails);
        const inner = memoryEventStore();
        const copy: EventStore = {
          ...withoutCompareAndSet(inner),
          async persist(message) {
            const number = Number(message.content);
            await new Promise<void>((resolve) => clock.after(writes[number]?.delay ?? 0, resolve));
            const left = failures[number] ?? 0;
            failures[number] = left - 1;
            if (left > 0) throw new Error("not yet");
            seen.set(message.key, [...(seen.get(message.key) ?? []), String(number)]);
            return inner.persist(message);
          },
        };
        const store = replicated(memoryEventStore(), copy, { clock, concurrency });

        for (const [number, { key }] of writes.entries()) await store.persist(event(String(number), key));
        await clock.advance(1_000_000);

        for (const key of ["order-1", "order-2", "order-3"]) {
          const expected = writes.flatMap((write, number) => (write.key === key ? [String(number)] : []));
          expect(seen.get(key) ?? []).toEqual(expected);
        }
      },
    ),
  );
});

test("no more writes run at the same time than the copy is to be given", async () => {
  const { clock, store, calls } = setUp(() => ({ kind: "delay", when: "before", milliseconds: 100 }), { concurrency: 2 });

  for (const key of ["order-1", "order-2", "order-3"]) await store.persist(event("a", key));
  await clock.advance(0);
  const begun = calls.length;
  await clock.advance(100);

  expect(begun).toBe(2);
  expect(calls).toHaveLength(3);
});

test("a write for which the queue has no room is dropped aloud, and counted", async () => {
  const drops: DroppedWrite[] = [];
  const { store } = setUp(() => ({ kind: "hang", when: "before" }), { queue: 2, onDrop: (write) => void drops.push(write) });

  for (const key of ["order-1", "order-2", "order-3"]) await store.persist(event("a", key));
  await store.remove("order-4", "event1");

  expect(store.copies.map(({ lag, dropped }) => [lag.queued, dropped])).toEqual([[2, 2]]);
  expect(drops).toEqual([
    { copy: 0, operation: "persist", key: "order-3", source: "event1", error: expect.objectContaining({ code: "ERR_OVERLOADED" }) },
    { copy: 0, operation: "remove", key: "order-4", source: "event1", error: expect.objectContaining({ code: "ERR_OVERLOADED" }) },
  ]);
});

test("a write that a copy can never take is dropped aloud, and the next one of its key follows", async () => {
  const refused = new TerminalError("too large for this store");
  const errors: unknown[] = [];
  const { clock, store, copy } = setUp(({ call }) => (call === 1 ? { kind: "fail", when: "before", error: refused } : undefined), {
    logger: { ...silentLogger, error: (fields) => void errors.push(fields) },
  });

  await store.persist(event("a"));
  await store.persist(event("b"));
  await clock.advance(0);

  expect(store.copies.map(({ lag, dropped }) => [lag.queued, dropped])).toEqual([[0, 1]]);
  expect(errors).toEqual([expect.objectContaining({ copy: 0, operation: "persist", key: "order-1", err: refused })]);
  expect(await contentIn(copy)).toBe("b");
});

test("one copy that fails keeps nothing from another", async () => {
  const clock = virtualClock();
  const other = memoryEventStore();
  const failing = faultyEventStore(memoryEventStore(), { decide: () => ({ kind: "fail", when: "before" }), clock });
  const store = replicated(memoryEventStore(), failing, other, { clock });

  await store.persist(event("a"));
  await clock.advance(0);

  expect(await contentIn(other)).toBe("a");
  expect(store.copies.map(({ lag }) => lag.queued)).toEqual([1, 0]);
});

test("an onDrop that throws fails no caller, and is told to the log", async () => {
  const error = vi.fn<(fields: object, text: string) => void>();
  const { store } = setUp(() => ({ kind: "hang", when: "before" }), {
    queue: 1,
    onDrop: () => {
      throw new Error("broken");
    },
    logger: { ...silentLogger, error },
  });

  await store.persist(event("a"));
  await store.persist(event("b"));

  expect(error).toHaveBeenLastCalledWith({ err: new Error("broken") }, "onDrop of replicated failed");
});

test.for([
  ["was done all the same", "after", "new"],
  ["was not done", "before", "old"],
] as const)("where the outcome of a persist is unclear and it %s, the copy is given what the primary holds", async ([, when, expected]) => {
  const inner = memoryEventStore();
  await inner.persist(event("old"));
  const primary = faultyEventStore(inner, { decide: ({ operation }) => (operation === "persist" ? { kind: "fail", when } : undefined) });
  const copy = memoryEventStore();
  const store = replicated(primary, copy);

  await expect(store.persist(event("new"))).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  await store.close();

  expect(await contentIn(copy)).toBe(expected);
});

test("where the outcome of a remove is unclear, an entry that the primary has no more is removed from the copy", async () => {
  const inner = memoryEventStore();
  const primary = faultyEventStore(inner, {
    decide: ({ operation }) => (operation === "remove" ? { kind: "fail", when: "after" } : undefined),
  });
  const copy = memoryEventStore();
  const store = replicated(primary, copy);
  await store.persist(event("a"));

  await expect(store.remove("order-1", "event1")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  await store.close();

  expect(await contentIn(copy)).toBeUndefined();
});

test("close waits for the copies, and closes neither them nor the primary", async () => {
  const { clock, store, primary, copy } = setUp(() => ({ kind: "delay", when: "before", milliseconds: 100 }));
  await store.persist(event("a"));
  let closed = false;

  const closing = store.close().then(() => (closed = true));
  await clock.advance(99);
  const early = closed;
  await clock.advance(1);
  await closing;

  expect(early).toBe(false);
  expect(await contentIn(copy)).toBe("a");
  expect(await contentIn(primary)).toBe("a");
  await expect(store.lookUp("order-1", "event1")).rejects.toMatchObject({ code: "ERR_STORE_CLOSED", retryable: true });
});

test("what a copy has not taken when the time to drain is over is dropped aloud, and its call is aborted", async () => {
  const drops: DroppedWrite[] = [];
  const { clock, store } = setUp(({ key }) => (key === "order-1" ? { kind: "hang", when: "before" } : { kind: "fail", when: "before" }), {
    drainTimeout: 500,
    onDrop: (write) => void drops.push(write),
  });
  await store.persist(event("a", "order-1"));
  await store.persist(event("b", "order-2"));

  const closing = store.close();
  await clock.advance(500);
  await closing;
  await clock.advance(100_000);

  expect(drops.map(({ key }) => key)).toEqual(["order-1", "order-2"]);
  expect(drops[0]?.error).toMatchObject({ code: "ERR_STORE_CLOSED" });
  expect(store.copies.map(({ lag, dropped }) => [lag.queued, dropped])).toEqual([[0, 2]]);
  expect(clock.pending).toBe(0);
});

test("features are the primary's", () => {
  const primary = withoutCompareAndSet(memoryEventStore());

  const store = replicated(primary, memoryEventStore());

  expect([store.features, store.scope("scope").features]).toEqual([primary.features, primary.features]);
});

test("a bad option is refused with what was given and what is allowed", () => {
  const refused: readonly (readonly [ReplicatedOptions, string])[] = [
    [{ queue: 0 }, "replicated: queue is 0, allowed is a whole number from 1"],
    [{ concurrency: 1.5 }, "replicated: concurrency is 1.5, allowed is a whole number from 1"],
    [{ baseDelay: -1 }, "replicated: baseDelay is -1, allowed is milliseconds from 0"],
    [{ baseDelay: 50, maxDelay: 49 }, "replicated: maxDelay is 49, allowed is milliseconds from baseDelay (50)"],
    [{ drainTimeout: Infinity }, "replicated: drainTimeout is Infinity, allowed is milliseconds from 0"],
  ];

  for (const [options, message] of refused) {
    expect(() => replicated(memoryEventStore(), memoryEventStore(), options)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_OPTION", message }),
    );
  }
  expect(() => replicated(memoryEventStore())).toThrow('replicated: copies is "none", allowed is at least one EventStore');
  // @ts-expect-error: options come once
  expect(() => replicated(memoryEventStore(), memoryEventStore(), {}, {})).toThrow("replicated: copies is");
});

interface SetUp {
  readonly clock: ReturnType<typeof virtualClock>;
  readonly store: ReturnType<typeof replicated>;
  readonly primary: EventStore;
  /** What the copy holds, without its faults. */
  readonly copy: EventStore;
  /** The calls that the copy was given. */
  readonly calls: readonly StoreCall[];
}

/** A primary in memory and one copy whose calls go wrong as `decide` says. */
function setUp(decide: (call: StoreCall) => Fault | undefined, options: ReplicatedOptions = {}): SetUp {
  const clock = virtualClock();
  const primary = memoryEventStore({ clock });
  const copy = memoryEventStore({ clock });
  const calls: StoreCall[] = [];
  const faulty = faultyEventStore(copy, {
    clock,
    decide(call) {
      calls.push(call);
      return decide(call);
    },
  });
  return { clock, primary, copy, calls, store: replicated(primary, faulty, { clock, ...options }) };
}

function event(content: Message["content"], key = "order-1"): Message {
  return createMessage({ id: "event", key, source: "event1", content });
}

async function contentIn(store: EventStore): Promise<unknown> {
  return (await store.lookUp("order-1", "event1"))?.message.content;
}
