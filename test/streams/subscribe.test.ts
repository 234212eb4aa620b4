import { expect, test } from "vitest";

import { pipeline } from "../../src/pipeline/pipeline.ts";
import { deliveryOf } from "../../src/streams/index.ts";
import { gate, order, streamsBench } from "./bench.ts";

test("what is published reaches every name once, and subscriptions of one name share it", async () => {
  const { connection, settle } = streamsBench();
  const got: string[] = [];
  const keep =
    (who: string) =>
    async (_ctx: unknown, { id }: { id: string }) =>
      void got.push(`${who}:${id}`);
  await connection.subscribe("orders", keep("billing 1"), { name: "billing" });
  await connection.subscribe("orders", keep("billing 2"), { name: "billing" });
  await connection.subscribe("orders", keep("shipping"), { name: "shipping" });

  for (const id of ["1", "2", "3", "4"]) await connection.publish("orders", order(id, `order-${id}`));
  await settle();

  expect(got.filter((line) => line.startsWith("shipping")).sort()).toEqual(["shipping:1", "shipping:2", "shipping:3", "shipping:4"]);
  expect(
    got
      .filter((line) => line.startsWith("billing"))
      .map((line) => line.slice(-1))
      .sort(),
  ).toEqual(["1", "2", "3", "4"]);
  expect(new Set(got.map((line) => line.split(":")[0])).size).toBe(3);
});

test("a pipeline is given the delivery, the attempt, the clock and a signal with its context", async () => {
  const { connection, settle, clock } = streamsBench();
  const seen: object[] = [];
  const orders = pipeline().use(async (ctx, message) => {
    const { position, stream, redelivered, publishedAt } = deliveryOf(ctx) ?? {};
    seen.push({
      id: message.id,
      attempt: ctx.attempt,
      position,
      stream,
      redelivered,
      publishedAt,
      clock: ctx.clock === clock,
      aborted: ctx.signal.aborted,
    });
  });
  await connection.subscribe("orders", orders);

  const id = await connection.publish("orders", order("1"));
  await settle();

  expect(id).toBe("1");
  expect(seen).toEqual([
    { id: "1", attempt: 1, position: "0", stream: "orders", redelivered: false, publishedAt: clock.now(), clock: true, aborted: false },
  ]);
});

test("a message is not acknowledged before its handler has finished", async () => {
  const { connection, connect, kill, settle } = streamsBench();
  const { opened, open } = gate();
  const got: string[] = [];
  await connection.subscribe("orders", () => opened);
  await connection.publish("orders", order("1"));
  await settle();

  await kill(connection);
  open();
  await connect().subscribe("orders", async (ctx, { id }) => void got.push(`${id}, attempt ${ctx.attempt}`));
  await settle();

  expect(got).toEqual(["1, attempt 2"]);
});

test("one key is worked on in order, different keys side by side, and not more of them than concurrency", async () => {
  const { connection, settle } = streamsBench();
  const gates = new Map<string, ReturnType<typeof gate>>();
  const begun: string[] = [];
  await connection.subscribe(
    "orders",
    async (_ctx, { id }) => {
      begun.push(id);
      const own = gate();
      gates.set(id, own);
      await own.opened;
    },
    { concurrency: 2 },
  );
  for (const [id, key] of [
    ["a1", "a"],
    ["a2", "a"],
    ["b1", "b"],
    ["c1", "c"],
  ] as const)
    await connection.publish("orders", order(id, key));
  await settle();
  expect(begun).toEqual(["a1", "b1"]);

  gates.get("a1")?.open();
  await settle();

  expect(begun).toEqual(["a1", "b1", "c1"]);
  gates.get("c1")?.open();
  await settle();
  expect(begun).toEqual(["a1", "b1", "c1", "a2"]);
});

test("at most maxInFlight messages are unsettled, however many are queued", async () => {
  const { connection, settle } = streamsBench();
  const { opened, open } = gate();
  let done = 0;
  await connection.subscribe("orders", () => opened.then(() => void (done += 1)), { maxInFlight: 8, concurrency: 4 });
  await connection.publishBatch(
    "orders",
    Array.from({ length: 1_000 }, (_, index) => order(String(index), `order-${index % 50}`)),
  );
  await settle();

  expect(connection.status().subscriptions).toEqual([{ stream: "orders", name: "orders", inFlight: 8 }]);

  open();
  await settle();
  expect(done).toBe(1_000);
  expect(connection.status().subscriptions).toEqual([{ stream: "orders", name: "orders", inFlight: 0 }]);
});

test("serial works on one message at a time, over all keys", async () => {
  const { connection, settle } = streamsBench();
  const { opened, open } = gate();
  const begun: string[] = [];
  await connection.subscribe(
    "orders",
    async (_ctx, { id }) => {
      begun.push(id);
      await opened;
    },
    { serial: true },
  );
  await connection.publishBatch("orders", [order("1", "a"), order("2", "b")]);
  await settle();
  expect(begun).toEqual(["1"]);

  open();
  await settle();

  expect(begun).toEqual(["1", "2"]);
});

test("a name that one subscription has alone is busy for others until that has gone", async () => {
  const { connection, connect } = streamsBench();
  const first = await connection.subscribe("orders", async () => {}, { serial: true });
  const second = connect();

  await expect(second.subscribe("orders", async () => {})).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY", retryable: true });
  await expect(second.subscribe("orders", async () => {}, { serial: true })).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
  await first.close();

  await expect(second.subscribe("orders", async () => {}, { serial: true })).resolves.toMatchObject({ name: "orders" });
});

test.each([
  [{ backfill: false }, ["4"]],
  [{ backfill: true }, ["1", "2", "3", "4"]],
  [{ backfill: { position: "1" } }, ["2", "3", "4"]],
  [{ backfill: new Date("2026-01-01T00:00:02Z") }, ["3", "4"]],
])("a new name starts where backfill says: %j", async (options, expected) => {
  const { connection, clock, settle } = streamsBench();
  const got: string[] = [];
  for (const id of ["1", "2", "3"]) {
    await connection.publish("orders", order(id));
    await clock.advance(1_000);
  }

  await connection.subscribe("orders", async (_ctx, { id }) => void got.push(id), options);
  await connection.publish("orders", order("4"));
  await settle();

  expect(got).toEqual(expected);
});

test("close keeps the position and reset forgets it; unsubscribe forgets it too", async () => {
  const { connection, settle } = streamsBench();
  const got: string[] = [];
  const subscribe = (options = {}) =>
    connection.subscribe("orders", async (_ctx, { id }) => void got.push(id), { backfill: true, ...options });
  const first = await subscribe();
  await connection.publish("orders", order("1"));
  await settle();
  await first.close();
  await connection.publish("orders", order("2"));

  const second = await subscribe();
  await settle();
  await second.unsubscribe();
  expect(got).toEqual(["1", "2"]);
  const third = await subscribe();
  await settle();
  await third.close();
  expect(got).toEqual(["1", "2", "1", "2"]);
  await subscribe({ reset: true, backfill: { position: "1" } });
  await settle();

  expect(got).toEqual(["1", "2", "1", "2", "2"]);
});

test("a position that is not durable ends with its last subscription", async () => {
  const { connection, settle } = streamsBench();
  const got: string[] = [];
  const subscribe = () => connection.subscribe("orders", async (_ctx, { id }) => void got.push(id), { durable: false });
  const first = await subscribe();
  await first.close();
  await connection.publish("orders", order("missed"));

  await subscribe();
  await connection.publish("orders", order("seen"));
  await settle();

  expect(got).toEqual(["seen"]);
});
