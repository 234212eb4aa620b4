import { describe, expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";
import type { EventStore } from "../../../src/stores/event-store.ts";

import { createContext } from "../../../src/context.ts";
import { type DeadLetter, deadLetters, parkedKeys, type ParkedKeysOptions } from "../../../src/dead-letters/index.ts";
import { TerminalError } from "../../../src/errors.ts";
import { deadLetter } from "../../../src/handlers/dead-letter/dead-letter.ts";
import { createMessage, identityOf } from "../../../src/message.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../../src/testing/faulty-event-store.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { withoutCompareAndSet } from "../../claims/plain-store.ts";

const event = (key: string, number: number): Message =>
  createMessage({ id: `${key}${number}`, key, source: "orders", content: String(number) });

test("what follows a message that was put aside is put aside too, without being run, and other keys flow", async () => {
  const { shop, ran } = bench({ failing: ["a1"] });

  for (const message of [event("a", 1), event("a", 2), event("b", 1), event("a", 3)]) await shop.process(createContext(), message);

  expect(ran).toEqual(["a1", "b1"]);
});

test("what waits is kept with its place, and says why it waits", async () => {
  const { shop, store, parkKey } = bench({ failing: ["a1"] });

  for (const number of [1, 2]) await shop.process(createContext(), event("a", number));

  expect(await parkKey.get("a")).toEqual({ key: "a", waiting: [identityOf(event("a", 1)), identityOf(event("a", 2))] });
  expect((await letterOf(store, event("a", 2))).failure).toMatchObject({ code: "ERR_KEY_PARKED", message: expect.stringContaining("a1") });
});

test("a second delivery of what waits is acknowledged and keeps its one place", async () => {
  const { shop, ran, parkKey } = bench({ failing: ["a1"] });
  const ended: string[] = [];
  for (const number of [1, 2, 3]) await shop.process(createContext(), event("a", number));

  for (const number of [2, 1]) await shop.process(createContext({ onEnded: (reason) => ended.push(reason) }), event("a", number));

  expect(ended).toEqual(["duplicate", "duplicate"]);
  expect(ran).toEqual(["a1"]);
  expect((await parkKey.get("a"))?.waiting).toHaveLength(3);
});

test("workers that begin later, on the same store, find the key parked", async () => {
  const store = memoryEventStore();
  await bench({ store, failing: ["a1"] }).shop.process(createContext(), event("a", 1));
  const { shop, ran } = bench({ store });

  await shop.process(createContext(), event("a", 2));

  expect(ran).toEqual([]);
});

test("a message that fails retryably parks nothing", async () => {
  const store = memoryEventStore();
  const parkKey = parkedKeys({ store });
  const shop = pipeline()
    .use(deadLetter({ store, parkKey }))
    .use(() => Promise.reject(new Error("down")));

  await expect(shop.process(createContext(), event("a", 1))).rejects.toThrow("down");

  expect(await parkKey.get("a")).toBeUndefined();
});

describe("replay", () => {
  test("runs the first one, and the key is free when the last one has run", async () => {
    const { shop, mended, ran, store, parkKey } = bench({ failing: ["a1"] });
    for (const number of [1, 2]) await shop.process(createContext(), event("a", number));
    mended();

    for (const number of [1, 2]) expect(await deadLetters(store).replay(shop, await letterOf(store, event("a", number)))).toBe("done");
    await shop.process(createContext(), event("a", 3));

    expect(ran).toEqual(["a1", "a1", "a2", "a3"]);
    expect(await parkKey.get("a")).toBeUndefined();
    expect(await deadLetters(store).list()).toEqual([]);
  });

  test("does not run one that stands behind another", async () => {
    const { shop, mended, ran, store } = bench({ failing: ["a1"] });
    for (const number of [1, 2]) await shop.process(createContext(), event("a", number));
    mended();

    expect(await deadLetters(store).replay(shop, await letterOf(store, event("a", 2)))).toBe("put aside again");

    expect(ran).toEqual(["a1"]);
    expect(await deadLetters(store).list()).toHaveLength(2);
  });

  test("that fails again leaves the key as it is", async () => {
    const { shop, store, parkKey } = bench({ failing: ["a1"] });
    for (const number of [1, 2]) await shop.process(createContext(), event("a", number));

    expect(await deadLetters(store).replay(shop, await letterOf(store, event("a", 1)))).toBe("put aside again");

    expect((await parkKey.get("a"))?.waiting).toHaveLength(2);
    expect((await letterOf(store, event("a", 1))).attempts).toBe(2);
  });

  test("of a copy of what is done changes nothing", async () => {
    const { shop, mended, ran, store } = bench({ failing: ["a1"] });
    for (const number of [1, 2]) await shop.process(createContext(), event("a", number));
    const letter = await letterOf(store, event("a", 1));
    mended();
    await deadLetters(store).replay(shop, letter);

    expect(await deadLetters(store).replay(shop, letter)).toBe("duplicate");

    expect(ran).toEqual(["a1", "a1"]);
  });
});

test("removing a dead letter for good takes it out of the queue, so that the next one may run", async () => {
  const { shop, mended, ran, store } = bench({ failing: ["a1"] });
  for (const number of [1, 2]) await shop.process(createContext(), event("a", number));
  mended();

  await deadLetters(store).remove(await letterOf(store, event("a", 1)));
  await deadLetters(store).replay(shop, await letterOf(store, event("a", 2)));

  expect(ran).toEqual(["a1", "a2"]);
});

test("a message that arrives in the moment in which the last one is done runs", async () => {
  const memory = memoryEventStore();
  const { shop, mended, ran, store } = bench({ store: memory, failing: ["a1"] });
  await shop.process(createContext(), event("a", 1));
  mended();
  const letter = await letterOf(store, event("a", 1));
  // It has seen the key parked and keeps itself; before its place is written, the last one leaves.
  const late = faultyEventStore(memory, { decide: () => undefined });
  const slow: EventStore = { ...late, scope: (name) => (name === "dead-letters" ? releasing(late.scope(name)) : late.scope(name)) };
  const worker = bench({ store: slow, ran }).shop;

  await worker.process(createContext(), event("a", 2));

  expect(ran).toEqual(["a1", "a1", "a2"]);
  expect(await parkedKeys({ store: memory }).get("a")).toBeUndefined();

  function releasing(entries: EventStore): EventStore {
    return {
      ...entries,
      async persist(message, options) {
        const revision = await entries.persist(message, options);
        await deadLetters(memory).replay(shop, letter);
        return revision;
      },
    };
  }
});

test("a key in which something waits stays parked when its dead letters have expired", async () => {
  const clock = virtualClock();
  const store = memoryEventStore({ clock });
  const { shop, parkKey, ran } = bench({ store, failing: ["a1"] });
  await shop.process(createContext({ clock }), event("a", 1));

  await clock.advance(30 * 86_400_000);
  await shop.process(createContext({ clock }), event("a", 2));

  expect(ran).toEqual(["a1"]);
  expect((await parkKey.get("a"))?.waiting).toHaveLength(2);
});

test("a queue that is full fails retryably, so that the sender keeps what comes", async () => {
  const { shop, parkKey } = bench({ failing: ["a1"], limit: 2 });
  for (const number of [1, 2]) await shop.process(createContext(), event("a", number));

  await expect(shop.process(createContext(), event("a", 3))).rejects.toMatchObject({ code: "ERR_OVERLOADED", retryable: true });

  expect((await parkKey.get("a"))?.waiting).toHaveLength(2);
});

test("a store that fails fails the message retryably, and nothing runs", async () => {
  const store = faultyEventStore(memoryEventStore(), { decide: () => ({ kind: "fail", when: "before" }) });
  const { shop, ran } = bench({ store });

  await expect(shop.process(createContext(), event("a", 1))).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });

  expect(ran).toEqual([]);
});

describe("parkedKeys", () => {
  test("lists the keys that wait, page by page", async () => {
    const { shop, parkKey } = bench({ failing: ["a1", "b1", "c1"] });
    for (const key of ["a", "b", "c", "d"]) await shop.process(createContext(), event(key, 1));

    const keys: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await parkKey.list({ limit: 1, ...(after !== undefined && { after }) });
      keys.push(...page.keys.map(({ key }) => key));
      after = page.next;
      if (after === undefined) break;
    }

    expect(keys.toSorted()).toEqual(["a", "b", "c"]);
  });

  test("forgets a queue some time after its last message is done", async () => {
    const clock = virtualClock();
    const store = memoryEventStore({ clock });
    const { shop, mended } = bench({ store, failing: ["a1"], clock, retention: 1_000 });
    await shop.process(createContext({ clock }), event("a", 1));
    mended();
    await deadLetters(store).replay(shop, await letterOf(store, event("a", 1)), createContext({ clock }));

    expect((await store.scope("parked-keys").lookUp("a", "~parked"))?.expiresAt).toBe(1_000);
  });

  test("refuses a record that is none of its own", async () => {
    const store = memoryEventStore();
    await store.scope("parked-keys").persist(createMessage({ key: "a", source: "~parked", content: "{}" }));

    await expect(parkedKeys({ store }).get("a")).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
  });

  test.each([{ limit: 0 }, { limit: 1.5 }, { retention: 0 }, { retention: Infinity }])("refuses %j", (options) => {
    expect(() => parkedKeys({ store: memoryEventStore(), ...options })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
  });

  test("refuses a store that cannot compare and set", () => {
    expect(() => parkedKeys({ store: withoutCompareAndSet(memoryEventStore()) })).toThrow(
      expect.objectContaining({ code: "ERR_UNSUPPORTED" }),
    );
  });
});

interface BenchOptions extends Partial<ParkedKeysOptions> {
  readonly failing?: readonly string[];
  readonly ran?: string[];
}

function bench({ store = memoryEventStore(), failing = [], ran = [], ...options }: BenchOptions) {
  const broken = new Set(failing);
  const parkKey = parkedKeys({ store, ...options });
  const shop = pipeline()
    .use(deadLetter({ store, parkKey }))
    .use(async (_ctx, message) => {
      ran.push(message.id);
      if (broken.has(message.id)) throw new TerminalError("refused");
    });
  return { store, parkKey, shop, ran, mended: () => broken.clear() };
}

async function letterOf(store: EventStore, message: Message): Promise<DeadLetter> {
  const letter = await deadLetters(store).get(message);
  if (letter === undefined) throw new Error(`there is no dead letter of ${message.id}`);
  return letter;
}
