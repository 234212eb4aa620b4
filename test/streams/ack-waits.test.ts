import { expect, test } from "vitest";

import { deliveryOf } from "../../src/streams/index.ts";
import { gate, order, streamsBench } from "./bench.ts";

test("the ack wait is extended for as long as the handler runs, and for what waits behind it", async () => {
  const { connection, connect, clock } = streamsBench();
  const { opened, open } = gate();
  const begun: string[] = [];
  const handler = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => {
    begun.push(id);
    await opened;
  };
  await connection.subscribe("orders", handler, { timeout: 3_000 });
  await connect().subscribe("orders", handler, { timeout: 3_000 });
  await connection.publishBatch("orders", [order("1"), order("2")]);

  await clock.advance(60_000);
  expect(begun).toEqual(["1"]);
  open();
  await clock.advance(60_000);

  expect(begun).toEqual(["1", "2"]);
  expect(clock.pending).toBe(0);
});

test("a delivery says by when it has to be settled", async () => {
  const { connection, clock, settle } = streamsBench();
  const times: unknown[] = [];
  await connection.subscribe("orders", async (ctx) => void times.push(deliveryOf(ctx)?.ackTime), { timeout: 3_000 });

  await connection.publish("orders", order("1"));
  await settle();

  expect(times).toEqual([clock.now() + 3_000]);
});

test("what a process had is delivered elsewhere when it dies, before what follows it", async () => {
  const { connection, connect, kill, settle } = streamsBench();
  const got: string[] = [];
  await connection.subscribe("orders", () => new Promise(() => {}), { maxInFlight: 2 });
  await connection.publishBatch(
    "orders",
    ["1", "2", "3"].map((id) => order(id)),
  );
  await settle();

  await connect().subscribe("orders", async (ctx, { id }) => void got.push(`${id}:${ctx.attempt}`));
  await settle();
  expect(got).toEqual([]);
  await kill(connection);
  await settle();

  expect(got).toEqual(["1:2", "2:2", "3:1"]);
});

test("the signal aborts when the delivery is lost, and whatever the handler then does settles nothing", async () => {
  const { connection, connect, kill, settle } = streamsBench();
  const reasons: unknown[] = [];
  const got: number[] = [];
  await connection.subscribe(
    "orders",
    (ctx) =>
      new Promise((resolve) => {
        ctx.signal.addEventListener("abort", () => {
          reasons.push(ctx.signal.reason);
          resolve();
        });
      }),
  );
  await connection.publish("orders", order("1"));
  await settle();

  await kill(connection);
  await connect().subscribe("orders", async (ctx) => void got.push(ctx.attempt));
  await settle();

  expect(reasons).toEqual([expect.objectContaining({ code: "ERR_DELIVERY_LOST", retryable: true })]);
  expect(got).toEqual([2]);
});
