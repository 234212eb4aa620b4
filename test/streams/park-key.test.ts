import { expect, test } from "vitest";

import type { Context } from "../../src/context.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { deadLetterStream, parkedKeys, parkedKeysBySubscription } from "../../src/dead-letters/index.ts";
import { TerminalError } from "../../src/errors.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { deadLetters } from "../../src/dead-letters/dead-letters.ts";
import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../src/testing/faulty-event-store.ts";
import { deliveryOf } from "../../src/streams/index.ts";
import { order, type StreamsBench, streamsBench } from "./bench.ts";

test("what follows a dead letter goes into its stream too, behind it and without being run, and other keys flow", async () => {
  const { bench, ran, failed } = await parking({ broken: ["a1"] });

  await publishAll(bench, ["a1", "a2", "b1", "a3"]);

  expect(ran).toEqual(["a1", "b1"]);
  expect(await failed()).toMatchObject([
    { id: "a1", reason: "ERR_TERMINAL" },
    { id: "a2", reason: "ERR_KEY_PARKED" },
    { id: "a3", reason: "ERR_KEY_PARKED" },
  ]);
});

test("a redrive runs a parked key in order, and then it flows again", async () => {
  const { bench, ran, broken, redrive, parkKey } = await parking({ broken: ["a1"] });
  await publishAll(bench, ["a1", "a2", "a3"]);
  broken.clear();

  expect(await redrive()).toMatchObject({ redriven: 3, failed: [], more: false });
  await publishAll(bench, ["a4"]);

  expect(ran).toEqual(["a1", "a1", "a2", "a3", "a4"]);
  expect(await parkKey.get("a")).toBeUndefined();
});

test("what fails again is put back, with what stands behind it, and the next redrive has them in order", async () => {
  const { bench, ran, broken, redrive } = await parking({ broken: ["a1"] });
  await publishAll(bench, ["a1", "a2"]);
  await redrive();
  await bench.settle();
  broken.clear();

  await redrive();
  await redrive();

  expect(ran).toEqual(["a1", "a1", "a1", "a2"]);
});

test("a worker that begins later finds the key parked", async () => {
  const { bench, parkKey, stop } = await parking({ broken: ["a1"] });
  await publishAll(bench, ["a1"]);
  await stop();
  const ran: string[] = [];
  await bench.connection.subscribe("orders", async (_ctx, { id }) => void ran.push(id), {
    deadLetter: { stream: "orders-failed", parkKey },
  });

  await publishAll(bench, ["a2", "b1"]);

  expect(ran).toEqual(["b1"]);
});

test("a second copy of what was redriven is a duplicate", async () => {
  const { bench, ran, broken, redrive } = await parking({ broken: ["a1"] });
  const copies: Message[] = [];
  await publishAll(bench, ["a1", "a2"]);
  await bench.connection.subscribe("orders", async (ctx) => void copies.push(rawOf(ctx)), { name: "spy" });
  broken.clear();
  await redrive();
  await bench.settle();

  for (const copy of copies.slice()) await bench.connection.publish("orders", copy);
  await bench.settle();

  expect(copies.map(({ id }) => id)).toEqual(["a1", "a2", "a1", "a2"]);
  expect(ran).toEqual(["a1", "a1", "a2"]);
});

test("while a failed message is tried again its followers wait for it, and nothing is parked", async () => {
  const { bench, ran, parkKey } = await parking({ retryable: ["a1"], delays: [1_000] });

  await publishAll(bench, ["a1", "a2"]);
  expect(ran).toEqual(["a1"]);
  await bench.clock.advance(1_000);

  expect(ran).toEqual(["a1", "a1", "a2"]);
  expect(await parkKey.get("a")).toBeUndefined();
});

test("while the store cannot be asked nothing runs, and everything runs when it can", async () => {
  let isDown = true;
  const store = faultyEventStore(memoryEventStore(), { decide: () => (isDown ? { kind: "fail", when: "before" } : undefined) });
  const { bench, ran } = await parking({ store, delays: [1_000] });

  await publishAll(bench, ["a1", "a2"]);
  expect(ran).toEqual([]);
  isDown = false;
  await bench.clock.advance(1_000);

  expect(ran).toEqual(["a1", "a2"]);
});

test("with idempotency behind, what is remembered as failed for good is run again by a redrive", async () => {
  const bench = streamsBench();
  const store = memoryEventStore({ clock: bench.clock });
  const ran: string[] = [];
  const attempts: number[] = [];
  const orders = pipeline()
    .use(idempotency({ store }))
    .use(async (ctx, { id }) => {
      ran.push(id);
      attempts.push(ctx.attempt);
      if (ran.length === 1) throw new TerminalError("refused");
    });
  await bench.connection.subscribe("orders", orders, { deadLetter: "orders-failed" });
  await publishAll(bench, ["a1"]);

  await redriveOf(bench);
  await bench.settle();

  expect(ran).toEqual(["a1", "a1"]);
  expect(attempts).toEqual([1, 2]);
});

test("and by a second copy of the same redrive it is not run again, though it has failed once more", async () => {
  const bench = streamsBench();
  const store = memoryEventStore({ clock: bench.clock });
  const ran: string[] = [];
  const copies: Message[] = [];
  const orders = pipeline()
    .use(idempotency({ store }))
    .use(async (_ctx, { id }) => {
      ran.push(id);
      throw new TerminalError("refused");
    });
  await bench.connection.subscribe("orders", orders, { deadLetter: "orders-failed" });
  await publishAll(bench, ["a1"]);
  await bench.connection.subscribe("orders", async (ctx) => void copies.push(rawOf(ctx)), { name: "spy" });
  await redriveOf(bench);

  for (const copy of copies.slice()) await bench.connection.publish("orders", copy);
  await bench.settle();
  expect(ran).toEqual(["a1", "a1"]);
  await redriveOf(bench);

  expect(ran).toEqual(["a1", "a1", "a1"]);
});

test("the same goes for a batch, beside what comes for the first time", async () => {
  const bench = streamsBench();
  const store = memoryEventStore({ clock: bench.clock });
  const ran: string[] = [];
  const orders = pipeline()
    .use(idempotency({ store }))
    .use(async (_ctx, { id }) => {
      ran.push(id);
      if (ran.length === 1) throw new TerminalError("refused");
    });
  await bench.connection.subscribe("orders", orders, { deadLetter: "orders-failed", batch: { size: 2, wait: 10 } });
  await publishAll(bench, ["a1"]);
  await bench.clock.advance(10);

  await Promise.all([redriveOf(bench), bench.connection.publish("orders", order("b1", "b"))]);
  await bench.clock.advance(10);

  expect(ran.toSorted()).toEqual(["a1", "a1", "b1"]);
});

test("dead letters of a store go into a stream in order, and the pipeline there runs them and frees the key", async () => {
  const bench = streamsBench();
  const store = memoryEventStore({ clock: bench.clock });
  const parkKey = parkedKeys({ store, clock: bench.clock });
  const ran: string[] = [];
  const broken = new Set(["a1"]);
  const orders = pipeline()
    .use(deadLetter({ store, parkKey }))
    .use(async (_ctx, { id }) => {
      ran.push(id);
      if (broken.has(id)) throw new TerminalError("refused");
    });
  await bench.connection.subscribe("orders", orders);
  await publishAll(bench, ["a1", "a2", "a3"]);
  broken.clear();

  const report = await deadLetters(store).redrive({ connection: bench.connection, stream: "orders" }, { clock: bench.clock });
  await bench.settle();

  expect(report).toMatchObject({ redriven: 3, failed: [] });
  expect(ran).toEqual(["a1", "a1", "a2", "a3"]);
  expect(await parkKey.get("a")).toBeUndefined();
  expect(await deadLetters(store).list()).toEqual([]);
});

test("what a handler sends on with the attributes of what came back has come for the first time", async () => {
  const bench = streamsBench();
  const store = memoryEventStore({ clock: bench.clock });
  const broken = new Set(["a1"]);
  const billed: string[] = [];
  const parkKey = (scope: string) => parkedKeys({ store, scope, clock: bench.clock });
  await bench.connection.subscribe(
    "orders",
    async (_ctx, message) => {
      if (broken.has(message.id)) throw new TerminalError("refused");
      await bench.connection.publish("bills", message);
    },
    { deadLetter: { stream: "orders-failed", parkKey: parkKey("orders") } },
  );
  await bench.connection.subscribe("bills", async (_ctx, { id }) => void billed.push(id), {
    deadLetter: { stream: "bills-failed", parkKey: parkKey("bills") },
  });
  await publishAll(bench, ["a1", "a2"]);
  broken.clear();

  await redriveOf(bench);
  await bench.settle();

  expect(billed).toEqual(["a1", "a2"]);
});

test("what is redriven into another stream has come there for the first time", async () => {
  const { bench } = await parking({ broken: ["a1"] });
  const ran: string[] = [];
  await publishAll(bench, ["a1", "a2"]);
  const parkKey = parkedKeys({ store: memoryEventStore({ clock: bench.clock }), clock: bench.clock });
  await bench.connection.subscribe("elsewhere", async (_ctx, { id }) => void ran.push(id), { deadLetter: { stream: "lost", parkKey } });

  const redriving = deadLetterStream(bench.connection, { stream: "orders-failed", clock: bench.clock }).redrive({ to: "elsewhere" });
  await bench.clock.advance(10_000);
  await redriving;

  expect(ran).toEqual(["a1", "a2"]);
});

test("without an order there is none to keep", async () => {
  const { connection } = streamsBench();
  const parkKey = parkedKeys({ store: memoryEventStore() });

  await expect(
    connection.subscribe("orders", async () => {}, { order: "none", deadLetter: { stream: "orders-failed", parkKey } }),
  ).rejects.toMatchObject({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("deadLetter.parkKey") });
});

test("a connection that parks keys does so for each subscription with an order and a dead-letter stream, each by itself", async () => {
  const { connect, settle, store, ran, failing, parkKey } = connectionThatParks();
  const connection = connect({ parkKey });
  await connection.subscribe("orders", failing("billing"), { name: "billing", deadLetter: "billing-failed", retry: { delays: [] } });
  await connection.subscribe("orders", failing("audit", "none"), { name: "audit", deadLetter: "audit-failed", retry: { delays: [] } });

  for (const id of ["a1", "a2"]) await connection.publish("orders", order(id, "a"));
  await settle();

  expect(ran).toEqual(["billing a1", "audit a1", "audit a2"]);
  expect(await parkKey({ stream: "orders", name: "billing" }).get("a")).toMatchObject({
    waiting: [expect.any(String), expect.any(String)],
  });
  expect(await parkKey({ stream: "orders", name: "audit" }).get("a")).toBeUndefined();
  expect(await parkedKeysBySubscription({ store })({ stream: "orders", name: "billing" }).get("a")).toBeDefined();
});

test.for([
  { otherwise: "there is no order", options: { order: "none", deadLetter: "orders-failed" } },
  { otherwise: "its dead letters say false", options: { deadLetter: { stream: "orders-failed", parkKey: false } } },
] as const)("a connection that parks keys does not where $otherwise", async ({ options }) => {
  const { connect, settle, ran, failing, parkKey } = connectionThatParks();
  const connection = connect({ parkKey });
  await connection.subscribe("orders", failing("billing"), { ...options, retry: { delays: [] } });

  for (const id of ["a1", "a2"]) await connection.publish("orders", order(id, "a"));
  await settle();

  expect(ran).toEqual(["billing a1", "billing a2"]);
});

test("a connection refuses a parkKey that is no function", () => {
  const { connect } = streamsBench();
  const parkKey = parkedKeys({ store: memoryEventStore() });

  // @ts-expect-error what a caller without types may do
  expect(() => connect({ parkKey })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test("what is not made by parkedKeys is refused", async () => {
  const { connection } = streamsBench();

  await expect(
    // @ts-expect-error what a caller without types may do
    connection.subscribe("orders", async () => {}, { deadLetter: { stream: "orders-failed", parkKey: true } }),
  ).rejects.toMatchObject({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("deadLetter.parkKey") });
});

interface ParkingOptions {
  readonly broken?: readonly string[];
  /** Fails once, retryably. */
  readonly retryable?: readonly string[];
  readonly delays?: readonly number[];
  readonly store?: EventStore;
}

/** What a connection parks keys with, and handlers that refuse the first message. */
function connectionThatParks() {
  const { connect, settle, clock } = streamsBench();
  const store = memoryEventStore({ clock });
  const ran: string[] = [];
  const failing =
    (who: string, refused = "a1") =>
    async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => {
      ran.push(`${who} ${id}`);
      if (id === refused) throw new TerminalError("refused");
    };
  return { connect, settle, store, ran, failing, parkKey: parkedKeysBySubscription({ store, clock }) };
}

/** A subscription that parks keys. */
async function parking(options: ParkingOptions) {
  const bench = streamsBench();
  const broken = new Set(options.broken);
  const retryable = new Set(options.retryable);
  const parkKey = parkedKeys({ store: options.store ?? memoryEventStore({ clock: bench.clock }), clock: bench.clock });
  const ran: string[] = [];
  const handler = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => {
    ran.push(id);
    if (broken.has(id)) throw new TerminalError("refused");
    if (retryable.delete(id)) throw new Error("not yet");
  };
  const subscription = await bench.connection.subscribe("orders", handler, {
    deadLetter: { stream: "orders-failed", parkKey },
    retry: { delays: options.delays ?? [] },
  });
  return {
    bench,
    ran,
    broken,
    parkKey,
    stop: () => subscription.close(),
    redrive: () => redriveOf(bench),
    failed: () => failedIn(bench),
  };
}

async function publishAll({ connection, settle }: StreamsBench, ids: readonly string[]): Promise<void> {
  for (const id of ids) await connection.publish("orders", createMessage({ ...order(id, id[0]) }));
  await settle();
}

async function redriveOf({ connection, clock }: StreamsBench) {
  const redriving = deadLetterStream(connection, { stream: "orders-failed", clock }).redrive();
  await clock.advance(10_000);
  return redriving;
}

async function failedIn({ connection, clock }: StreamsBench) {
  const found: { readonly id: string; readonly reason: string }[] = [];
  const reading = (async () => {
    for await (const { letter } of deadLetterStream(connection, { stream: "orders-failed", clock }).read())
      found.push({ id: letter.message.id, reason: letter.failure.code });
  })();
  await clock.advance(10_000);
  await reading;
  return found;
}

/** The message as the broker has it, with what a handler does not see. */
function rawOf(ctx: Context): Message {
  const message = deliveryOf(ctx)?.message;
  if (message === undefined) throw new Error("it did not come by a stream");
  return message;
}
