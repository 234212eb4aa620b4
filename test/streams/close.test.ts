import { expect, test } from "vitest";

import type { Inbound, Transport } from "../../src/streams/index.ts";

import { gate, order, streamsBench } from "./bench.ts";

test("close waits for what is being worked on, and gives back what has not begun", async () => {
  const { connection, connect, settle } = streamsBench();
  const { opened, open } = gate();
  const got: string[] = [];
  const subscription = await connection.subscribe(
    "orders",
    async (_ctx, { id }) => {
      await opened;
      got.push(`first:${id}`);
    },
    { concurrency: 1 },
  );
  await connection.publishBatch("orders", [order("1", "a"), order("2", "b"), order("3", "a")]);
  await settle();

  let isClosed = false;
  const closing = subscription.close().then(() => void (isClosed = true));
  await connect().subscribe("orders", async (_ctx, { id }) => void got.push(`second:${id}`));
  await settle();
  expect([isClosed, got]).toEqual([false, ["second:2"]]);
  open();
  await closing;
  await settle();

  expect(got).toEqual(["second:2", "first:1", "second:3"]);
});

test("when the limit is reached the signal aborts and the message is delivered again", async () => {
  const { connection, connect, clock } = streamsBench();
  const reasons: unknown[] = [];
  const got: number[] = [];
  await connection.subscribe(
    "orders",
    (ctx) => new Promise(() => ctx.signal.addEventListener("abort", () => reasons.push(ctx.signal.reason))),
  );
  await connection.publish("orders", order("1"));
  await clock.advance(0);

  const closing = connection.close({ limit: 5_000 });
  await clock.advance(4_999);
  expect(reasons).toEqual([]);
  await clock.advance(1);
  await closing;
  await connect().subscribe("orders", async (ctx) => void got.push(ctx.attempt));
  await clock.advance(0);

  expect(reasons).toEqual([expect.objectContaining({ code: "ERR_CONNECTION_CLOSED" })]);
  expect(got).toEqual([2]);
  expect(clock.pending).toBe(0);
});

test("what waits to be tried again is given back when the subscription closes", async () => {
  const { connection, connect, clock } = streamsBench();
  const got: string[] = [];
  await connection.subscribe("orders", () => Promise.reject(new Error("no")), { retry: { delays: [3_600_000] } });
  await connection.publishBatch("orders", [order("1"), order("2")]);
  await clock.advance(0);

  await connection.close();
  await connect().subscribe("orders", async (_ctx, { id }) => void got.push(id));
  await clock.advance(0);

  expect(got).toEqual(["1", "2"]);
});

test("handlers can publish until the last one has ended, then the connection refuses everything", async () => {
  const { connection, connect, settle } = streamsBench();
  const { opened, open } = gate();
  const got: string[] = [];
  await connect().subscribe("bills", async (_ctx, { id }) => void got.push(id));
  await connection.subscribe("orders", async (_ctx, message) => {
    await opened;
    await connection.publish("bills", message);
  });
  await connection.publish("orders", order("1"));
  await settle();

  const closing = connection.close();
  await expect(connection.subscribe("orders", async () => {})).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
  open();
  await closing;
  await settle();

  expect(got).toEqual(["1"]);
  expect(connection.status()).toEqual({ state: "closed", publishing: 0, subscriptions: [] });
  await expect(connection.publish("orders", order("2"))).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
  await expect(connection.pull("orders")).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED" });
});

test("close is idempotent, whoever calls it and at whatever time", async () => {
  const { connection } = streamsBench();
  const states: string[] = [];
  connection.on("state", ({ state }) => states.push(state));
  const subscription = await connection.subscribe("orders", async () => {});

  await Promise.all([subscription.close(), connection.close(), subscription.unsubscribe(), connection.close()]);
  await connection.close();

  expect(states).toEqual(["closing", "closed"]);
});

test("a subscription that is being opened when the connection closes is closed with it", async () => {
  const { connection, connect, settle } = streamsBench();
  const got: string[] = [];

  const opening = connection.subscribe("orders", async () => void got.push("closed"));
  const closing = connection.close();

  await expect(opening).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED" });
  await closing;
  const other = connect();
  await other.publish("orders", order("1"));
  await settle();
  expect(got).toEqual([]);
});

test("a broker that does not answer a subscription holds up no close longer than its limit", async () => {
  const { connect, clock } = streamsBench();
  const connection = connect({}, (transport) => ({ ...transport, subscribe: () => new Promise(() => {}) }));
  void connection.subscribe("orders", async () => {});

  let isClosed = false;
  const closing = connection.close({ limit: 1_000 }).then(() => void (isClosed = true));
  await clock.advance(999);
  expect(isClosed).toBe(false);
  await clock.advance(1);
  await closing;

  expect(connection.status().state).toBe("closed");
});

test("a subscription that cannot stop is told of, after everything else was closed", async () => {
  const { connect } = streamsBench();
  const closed: string[] = [];
  const connection = connect({}, (transport) => ({
    ...transport,
    async subscribe(request, sink) {
      const subscription = await transport.subscribe(request, sink);
      return { ...subscription, stop: () => Promise.reject(new Error("no answer")), close: async () => void closed.push(request.stream) };
    },
    close: async () => void closed.push("transport"),
  }));
  await connection.subscribe("orders", async () => {});
  await connection.subscribe("bills", async () => {});

  await expect(connection.close()).rejects.toThrow("no answer");

  expect(closed).toEqual(["orders", "bills", "transport"]);
});

test("the next message of a key does not wait until the broker has answered the acknowledgement, and close does", async () => {
  const { connect, settle } = streamsBench();
  const { opened: answered, open: answer } = gate();
  const connection = connect({}, (transport) =>
    alterDeliveries(transport, (inbound) => ({ ...inbound, ack: () => answered.then(() => inbound.ack()) })),
  );
  const got: string[] = [];
  await connection.subscribe("orders", async (_ctx, { id }) => void got.push(id));
  await connection.publishBatch("orders", [order("1"), order("2")]);
  await settle();

  let isClosed = false;
  const closing = connection.close().then(() => void (isClosed = true));
  await settle();
  expect([got, isClosed]).toEqual([["1", "2"], false]);
  answer();
  await closing;
  await connect().subscribe("orders", async (_ctx, { id }) => void got.push(id));
  await settle();

  expect(got).toEqual(["1", "2"]);
});

test.each(["stop", "ack", "close"] as const)("close ends although the broker never answers: %s", async (silent) => {
  const { connect, clock } = streamsBench();
  const never = (): Promise<void> => new Promise(() => {});
  const connection = connect({}, (transport) => ({
    ...alterDeliveries(transport, (inbound) => (silent === "ack" ? { ...inbound, ack: never } : inbound)),
    async subscribe(request, sink) {
      const subscription = await transport.subscribe(request, sink);
      return silent === "ack" ? subscription : { ...subscription, [silent]: never };
    },
    close: silent === "close" ? never : () => transport.close(),
  }));
  await connection.subscribe("orders", async () => {});
  await connection.publish("orders", order("1"));
  await clock.advance(0);

  let isClosed = false;
  const closing = connection.close({ limit: 1_000 }).then(() => void (isClosed = true));
  await clock.advance(20_000);

  expect(isClosed).toBe(true);
  await closing;
});

test("close ends although the broker never takes back what a loop has, or has not taken", async () => {
  const { connect, clock } = streamsBench();
  const connection = connect({}, (transport) =>
    alterDeliveries(transport, (inbound) => ({ ...inbound, release: () => new Promise(() => {}) })),
  );
  const subscription = await connection.pull("orders");
  await connection.publishBatch("orders", [order("1"), order("2")]);
  await clock.advance(0);
  const taken = await subscription[Symbol.asyncIterator]().next();

  let isClosed = false;
  const closing = connection.close({ limit: 1_000 }).then(() => void (isClosed = true));
  await clock.advance(20_000);

  expect(isClosed).toBe(true);
  await closing;
  expect(taken.value?.signal.aborted).toBe(true);
});

function alterDeliveries(transport: Transport, alter: (inbound: Inbound) => Inbound): Transport {
  return {
    ...transport,
    subscribe: (request, sink) =>
      transport.subscribe(request, { lost: (error) => sink.lost(error), deliver: (inbound) => sink.deliver(alter(inbound)) }),
  };
}
