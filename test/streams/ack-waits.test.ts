import { expect, test } from "vitest";

import { TerminalError } from "../../src/errors.ts";
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

test("where the ack wait cannot be extended, what comes again waits behind the handler that hangs, and does not pile up", async () => {
  const { connect, clock } = streamsBench();
  const connection = connect({}, (transport) => ({ ...transport, features: { ...transport.features, ackWait: "fixed" } }));
  const { opened, open } = gate();
  const attempts: number[] = [];
  const aborted: boolean[] = [];
  await connection.subscribe(
    "orders",
    async (ctx) => {
      attempts.push(ctx.attempt);
      await opened;
      aborted.push(ctx.signal.aborted);
    },
    { timeout: 1_000 },
  );
  await connection.publish("orders", order("1"));

  await clock.advance(5_500);
  expect(attempts).toEqual([1]);
  expect(connection.status().subscriptions[0]?.inFlight).toBe(2);
  open();
  await clock.advance(0);

  expect(attempts).toEqual([1, 6]);
  expect(aborted).toEqual([true, false]);
  expect(connection.status().subscriptions[0]?.inFlight).toBe(0);
});

test("a message that waits to be tried again and comes anew is not held back by its former delivery", async () => {
  const { connect, clock } = streamsBench();
  const connection = connect({}, (transport) => ({ ...transport, features: { ...transport.features, ackWait: "fixed" } }));
  const tries: (readonly [attempt: number, after: number])[] = [];
  const started = clock.now();
  await connection.subscribe(
    "orders",
    async (ctx) => {
      tries.push([ctx.attempt, clock.now() - started]);
      if (ctx.attempt === 1) throw new Error("not yet");
    },
    { timeout: 1_000, retry: { delays: [60_000] } },
  );

  await connection.publish("orders", order("1"));
  await clock.advance(1_000);

  expect(tries).toEqual([
    [1, 0],
    [2, 1_000],
  ]);
});

test("an ack wait that could not be extended, an acknowledgement and a release that failed are logged, and stop nothing", async () => {
  const warnings: string[] = [];
  const log = (_fields: object, text: string): void => void warnings.push(text);
  const { connect, clock } = streamsBench();
  const fails = (): Promise<void> => Promise.reject(new Error("no answer"));
  const connection = connect({ logger: { debug: log, info: log, warn: log, error: log } }, (transport) => ({
    ...transport,
    subscribe: (request, sink) =>
      transport.subscribe(request, {
        ...sink,
        lost: () => {},
        deliver: (inbound) => sink.deliver({ ...inbound, ack: fails, release: fails, extend: fails }),
      }),
  }));
  const { opened, open } = gate();
  const handler = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => {
    await opened;
    if (id === "fails") throw new Error("not yet");
  };
  await connection.subscribe("orders", handler, { timeout: 3_000, order: "none" });
  await connection.publishBatch("orders", [order("done"), order("fails")]);

  await clock.advance(1_000);
  open();
  await clock.advance(0);

  expect(new Set(warnings)).toEqual(
    new Set([
      "the ack wait of a message was not extended; it may be delivered again",
      "a message was not acknowledged and may be delivered again",
      "a message failed and is tried again",
      "a message was not given back; it is delivered again when the broker misses it",
    ]),
  );
  expect(connection.status().subscriptions[0]?.inFlight).toBe(0);
});

test("a delivery that was lost while its handler ran is not put aside, whatever the handler says", async () => {
  const { connect, kill, settle } = streamsBench();
  const [first, second] = [connect(), connect()];
  const { opened, open } = gate();
  const dead: string[] = [];
  const failures: unknown[] = [];
  await second.subscribe("dead", async (_ctx, { id }) => void dead.push(id));
  await first.subscribe("orders", () => opened.then(() => Promise.reject(new TerminalError("cancelled"))), { deadLetter: "dead" });
  first.on("failure", (failure) => failures.push(failure));
  await second.publish("orders", order("1"));
  await settle();

  await kill(first);
  open();
  await settle();

  expect([dead, failures]).toEqual([[], []]);
});
