import { describe, expect, test } from "vitest";

import type { Message } from "../../src/message.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { createContext } from "../../src/context.ts";
import { deadLetters, parkedKeys, type RedriveOptions } from "../../src/dead-letters/index.ts";
import { TerminalError } from "../../src/errors.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { createMessage, identityOf } from "../../src/message.ts";
import { pipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../src/testing/faulty-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { withoutCompareAndSet } from "../claims/plain-store.ts";

const event = (key: string, number = 1, source = "orders"): Message => createMessage({ id: `${key}${number}`, key, source, content: "{}" });

test("everything that was put aside is processed again and removed", async () => {
  const { store, shop, ran } = await bench({ failed: [event("a"), event("b"), event("c")] });

  const report = await deadLetters(store).redrive(shop);

  expect(report).toEqual({ redriven: 3, skipped: 0, failed: [], more: false });
  expect(ran.toSorted()).toEqual(["a1", "b1", "c1"]);
  expect(await deadLetters(store).list()).toEqual([]);
});

test("what fails again stays, and is named with its error", async () => {
  const { store, shop, broken } = await bench({ failed: [event("a"), event("b")] });
  broken.add("a1");

  const { redriven, failed } = await deadLetters(store).redrive(shop);

  expect(redriven).toBe(1);
  expect(failed).toMatchObject([{ message: { id: "a1", key: "a", source: "orders" }, error: { code: "ERR_HANDLER_FAILED" } }]);
  expect(await idsIn(store)).toEqual(["a1"]);
});

test("what fails retryably stays as it is", async () => {
  const { store } = await bench({ failed: [event("a")] });
  const down = pipeline().use(() => Promise.reject(new Error("down")));

  const { failed } = await deadLetters(store).redrive(down);

  expect(failed).toMatchObject([{ message: { id: "a1" }, error: { cause: new Error("down") } }]);
  expect(await idsIn(store)).toEqual(["a1"]);
});

test.each<[string, RedriveOptions["where"], readonly string[]]>([
  ["key", { key: "b" }, ["b1"]],
  ["source", { source: "bills" }, ["c1"]],
  ["code", { code: "ERR_TERMINAL" }, ["a1", "b1", "c1"]],
  ["another code", { code: "ERR_TIMEOUT" }, []],
  ["time, its beginning included", { since: new Date(1_000) }, ["b1", "c1"]],
  ["time, its end excluded", { until: new Date(1_000) }, ["a1"]],
  ["all of it", { since: new Date(500), until: new Date(1_500), source: "orders" }, ["b1"]],
  ["a function", ({ message }) => message.id !== "b1", ["a1", "c1"]],
])("where selects by %s", async (_by, where, expected) => {
  const clock = virtualClock();
  const { store, shop, ran } = await bench({ clock });
  const failing = failingPipeline(store);
  for (const message of [event("a"), event("b"), event("c", 1, "bills")]) {
    await failing.process(createContext({ clock }), message);
    await clock.advance(1_000);
  }

  await deadLetters(store).redrive(shop, { ...(where !== undefined && { where }), clock });

  expect(ran.toSorted()).toEqual(expected);
});

test("limit ends it, and the next one goes on", async () => {
  const { store, shop, ran } = await bench({ failed: [event("a"), event("b"), event("c")] });

  const first = await deadLetters(store).redrive(shop, { limit: 2 });
  const second = await deadLetters(store).redrive(shop, { limit: 2 });

  expect(first).toMatchObject({ redriven: 2, more: true });
  expect(second).toMatchObject({ redriven: 1, more: false });
  expect(ran).toHaveLength(3);
});

test("rate is a number of messages a second", async () => {
  const clock = virtualClock();
  const at: number[] = [];
  const { store } = await bench({ failed: [event("a"), event("b"), event("c")], clock });
  const shop = pipeline().use(async (ctx) => void at.push(ctx.clock.now()));

  const redriven = deadLetters(store).redrive(shop, { rate: 4, clock });
  await clock.advance(10_000);

  expect(await redriven).toMatchObject({ redriven: 3 });
  expect(at).toEqual([0, 250, 500]);
});

test("a dry run counts and does nothing", async () => {
  const { store, shop, ran } = await bench({ failed: [event("a"), event("b")], parked: [event("p", 1), event("p", 2)] });
  const before = await deadLetters(store).list();

  const report = await deadLetters(store).redrive(shop, { dryRun: true });

  expect(report).toMatchObject({ redriven: 4, failed: [] });
  expect(ran).toEqual([]);
  expect(await deadLetters(store).list()).toEqual(before);
});

test("aborting ends it after the message that is under way, and the report says what was done", async () => {
  const { store } = await bench({ failed: [event("a"), event("b")] });
  const controller = new AbortController();
  const shop = pipeline().use(async () => controller.abort());

  const report = await deadLetters(store).redrive(shop, { signal: controller.signal });

  expect(report).toEqual({ redriven: 1, skipped: 0, failed: [], more: true });
  expect(await idsIn(store)).toEqual(["b1"]);
});

test("one that was interrupted can be done again: what was processed is known as a duplicate and removed", async () => {
  const memory = memoryEventStore();
  const ran: string[] = [];
  const shop = pipeline()
    .use(idempotency({ store: memory }))
    .use(async (_ctx, message) => void ran.push(message.id));
  await failingPipeline(memory).process(createContext(), event("a"));
  const unremoved = faultyEventStore(memory, {
    decide: ({ operation }) => (operation === "remove" ? { kind: "fail", when: "before" } : undefined),
  });
  await deadLetters(unremoved).redrive(shop);

  const report = await deadLetters(memory).redrive(shop);

  expect(report).toMatchObject({ redriven: 0, skipped: 1, failed: [] });
  expect(ran).toEqual(["a1"]);
  expect(await idsIn(memory)).toEqual([]);
});

test("two at once share the work, and run nothing twice", async () => {
  const messages = Array.from({ length: 20 }, (_, number) => event("abcde"[number % 5] ?? "", number));
  const { store, shop, ran } = await bench({ failed: messages, parked: [event("p", 1), event("p", 2)] });

  const reports = await Promise.all([deadLetters(store).redrive(shop), deadLetters(store).redrive(shop)]);

  expect(reports.map(({ failed }) => failed)).toEqual([[], []]);
  expect(ran.toSorted()).toEqual([...messages.map(({ id }) => id), "p1", "p2"].toSorted());
  expect(await idsIn(store)).toEqual([]);
});

test("a store that cannot compare and set can be redriven too", async () => {
  const memory = memoryEventStore();
  const store = withoutCompareAndSet(memory);
  await failingPipeline(store).process(createContext(), event("a"));

  expect(await deadLetters(store).redrive(pipeline())).toMatchObject({ redriven: 1, failed: [] });
});

describe("a parked key", () => {
  const queue = [1, 2, 3, 4].map((number) => event("p", number));

  test("is redriven in order and completely, and is free then", async () => {
    const { store, shop, ran } = await bench({ parked: queue });

    const report = await deadLetters(store).redrive(shop);

    expect(report).toEqual({ redriven: 4, skipped: 0, failed: [], more: false });
    expect(ran).toEqual(["p1", "p2", "p3", "p4"]);
    expect(await parkedKeys({ store }).get("p")).toBeUndefined();
    expect(await idsIn(store)).toEqual([]);
  });

  test("goes as a whole when the filter selects only the one that failed", async () => {
    const { store, shop, ran } = await bench({ parked: queue });

    await deadLetters(store).redrive(shop, { where: { code: "ERR_TERMINAL" } });

    expect(ran).toEqual(["p1", "p2", "p3", "p4"]);
  });

  test("takes what comes meanwhile", async () => {
    const { store, parkKey } = await bench({ parked: queue.slice(0, 2) });
    const ran: string[] = [];
    const shop: Pipeline = pipeline()
      .use(deadLetter({ store, parkKey }))
      .use(async (_ctx, { id }) => {
        ran.push(id);
        if (id === "p1") await shop.process(createContext(), event("p", 3));
      });

    const report = await deadLetters(store).redrive(shop);

    expect(report).toMatchObject({ redriven: 3, failed: [] });
    expect(ran).toEqual(["p1", "p2", "p3"]);
  });

  test("stops at what fails again, and what stands behind it keeps waiting", async () => {
    const { store, shop, ran, broken, parkKey } = await bench({ parked: queue });
    broken.add("p2");

    const report = await deadLetters(store).redrive(shop);

    expect(report).toMatchObject({ redriven: 1, failed: [{ message: { id: "p2" } }] });
    expect(ran).toEqual(["p1", "p2"]);
    expect((await parkKey.get("p"))?.waiting).toEqual([2, 3, 4].map((number) => identityOf(event("p", number))));
    broken.clear();
    expect(await deadLetters(store).redrive(shop)).toMatchObject({ redriven: 3, failed: [] });
    expect(ran).toEqual(["p1", "p2", "p2", "p3", "p4"]);
  });

  test("of a pipeline that does not park is free afterwards all the same", async () => {
    const { store, parkKey } = await bench({ parked: queue });

    expect(await deadLetters(store).redrive(pipeline())).toMatchObject({ redriven: 4, failed: [] });

    expect(await parkKey.get("p")).toBeUndefined();
  });

  test("whose first dead letter has expired is named, and nothing of it runs until that one is skipped", async () => {
    const { store, shop, ran, parkKey } = await bench({ parked: queue });
    await store.scope("dead-letters").remove("p", identityOf(event("p", 1)));

    const report = await deadLetters(store).redrive(shop);

    expect(report.failed).toMatchObject([{ message: { id: "p1", key: "p", source: "orders" }, error: { code: "ERR_KEY_PARKED" } }]);
    expect(ran).toEqual([]);
    await parkKey.skip("p", identityOf(event("p", 1)));
    await deadLetters(store).redrive(shop);
    expect(ran).toEqual(["p2", "p3", "p4"]);
  });

  test("leaves no dead letter of a message that was done but could not be removed", async () => {
    const { store, shop, ran } = await bench({ parked: queue });
    const dying = faultyEventStore(store, {
      decide: ({ operation, scope }) =>
        operation === "remove" && scope[0] === "dead-letters" ? { kind: "fail", when: "before" } : undefined,
    });
    await deadLetters(dying).redrive(shop);

    const report = await deadLetters(store).redrive(shop);

    expect(report).toMatchObject({ redriven: 3, skipped: 1, failed: [] });
    expect(ran).toEqual(["p1", "p2", "p3", "p4"]);
    expect(await idsIn(store)).toEqual([]);
  });
});

test.each([{ limit: 0 }, { limit: 0.5 }, { rate: 0 }, { rate: NaN }, { where: { since: new Date("never") } }])(
  "refuses %j",
  async (options) => {
    await expect(deadLetters(memoryEventStore()).redrive(pipeline(), options)).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  },
);

test("refuses a target that is none", async () => {
  // @ts-expect-error what a caller without types may do
  await expect(deadLetters(memoryEventStore()).redrive({ stream: "orders-again" }.stream)).rejects.toMatchObject({
    code: "ERR_INVALID_OPTION",
  });
});

interface BenchOptions {
  readonly failed?: readonly Message[];
  readonly parked?: readonly Message[];
  readonly clock?: ReturnType<typeof virtualClock>;
}

/** A store with dead letters, of parked keys too, and a pipeline in which they succeed unless they are `broken`. */
async function bench({ failed = [], parked = [], clock }: BenchOptions) {
  const store = memoryEventStore({ ...(clock && { clock }) });
  const parkKey = parkedKeys({ store });
  const ran: string[] = [];
  const broken = new Set<string>();
  const handler = async (_ctx: unknown, { id }: Message): Promise<void> => {
    ran.push(id);
    if (broken.has(id)) throw new TerminalError("refused");
  };
  const shop = pipeline().use(deadLetter({ store, parkKey })).use(handler);
  for (const message of failed) await failingPipeline(store).process(createContext({ clock }), message);
  for (const { id } of parked) broken.add(id);
  for (const message of parked) await shop.process(createContext({ clock }), message);
  broken.clear();
  ran.length = 0;
  return { store, shop, ran, broken, parkKey };
}

function failingPipeline(store: EventStore): Pipeline {
  return pipeline()
    .use(deadLetter({ store }))
    .use(() => Promise.reject(new TerminalError("refused")));
}

async function idsIn(store: EventStore): Promise<readonly string[]> {
  return (await deadLetters(store).list()).map(({ message }) => message.id);
}
