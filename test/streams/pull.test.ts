import { expect, test } from "vitest";

import type { PullDelivery, PullSubscription } from "../../src/streams/index.ts";

import { order, streamsBench } from "./bench.ts";

test("a loop takes deliveries, settles them and gets those again that it gave back, after the delay", async () => {
  const { connection, clock } = streamsBench();
  const subscription = await connection.pull("orders");
  const got: string[] = [];
  const loop = (async () => {
    for await (const delivery of subscription) {
      got.push(`${delivery.message.id}:${delivery.attempt}`);
      if (delivery.attempt === 1) await delivery.nack({ delay: 1_000 });
      else await delivery.ack();
    }
  })();

  await connection.publish("orders", order("1"));
  await clock.advance(999);
  expect(got).toEqual(["1:1"]);
  await clock.advance(1);
  await subscription.close();
  await loop;

  expect(got).toEqual(["1:1", "1:2"]);
});

test("what no loop has taken is extended; what one has is the loop's to extend", async () => {
  const { connection, clock } = streamsBench();
  const subscription = await connection.pull("orders", { timeout: 3_000 });
  await connection.publish("orders", order("1"));

  await clock.advance(60_000);
  const delivery = await take(subscription);
  expect(delivery.attempt).toBe(1);
  await clock.advance(2_000);
  await delivery.extend();
  await clock.advance(2_500);
  expect(delivery.signal.aborted).toBe(false);
  await clock.advance(1_000);
  expect(delivery.signal.aborted).toBe(true);
  await delivery.ack();
  await delivery.extend();

  const again = await take(subscription);
  expect(again.attempt).toBe(2);
  await again.ack();
});

test("at most maxInFlight deliveries are out, and leaving the loop ends nothing", async () => {
  const { connection, settle } = streamsBench();
  const subscription = await connection.pull("orders", { maxInFlight: 2 });
  await connection.publishBatch(
    "orders",
    ["1", "2", "3"].map((id) => order(id)),
  );
  const taken: PullDelivery[] = [];
  for await (const delivery of subscription) {
    taken.push(delivery);
    if (taken.length === 2) break;
  }
  await settle();
  expect(connection.status().subscriptions).toEqual([{ stream: "orders", name: "orders", inFlight: 2 }]);

  for (const delivery of taken) await delivery.ack();
  const third = await take(subscription);

  expect(third.message.id).toBe("3");
  await third.ack();
});

test("close ends the loop, gives back what none has taken and waits for what is out, up to its limit", async () => {
  const { connection, connect, clock } = streamsBench();
  const subscription = await connection.pull("orders");
  await connection.publishBatch("orders", [order("1", "a"), order("2", "b")]);
  const delivery = await take(subscription);
  const waiting = subscription[Symbol.asyncIterator]().next();
  await (await waiting).value?.nack();
  await clock.advance(0);

  const closing = subscription.close({ limit: 1_000 });
  const got: string[] = [];
  await connect().subscribe("orders", async (_ctx, { id }) => void got.push(id));
  await clock.advance(500);
  expect(got).toEqual(["2"]);
  await clock.advance(500);
  await closing;
  await clock.advance(0);

  expect(got).toEqual(["2", "1"]);
  expect(delivery.signal.aborted).toBe(true);
  expect(await subscription[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
});

test("what was lost is no longer waited for, whether a loop has it or not", async () => {
  const { connect, kill, settle } = streamsBench();
  const [connection, other] = [connect(), connect()];
  const subscription = await connection.pull("orders");
  await connection.publishBatch("orders", [order("1"), order("2")]);
  const delivery = await take(subscription);
  expect(connection.status().subscriptions[0]?.inFlight).toBe(2);

  await kill(connection);
  const got: string[] = [];
  await other.subscribe("orders", async (_ctx, { id }) => void got.push(id));
  await settle();

  expect(connection.status().subscriptions[0]?.inFlight).toBe(0);
  expect(delivery.signal.aborted).toBe(true);
  expect(got).toEqual(["1", "2"]);
  await subscription.close();
});

test("nonsense for a delay is refused, and the delivery stays", async () => {
  const { connection } = streamsBench();
  const subscription = await connection.pull("orders");
  await connection.publish("orders", order("1"));
  const delivery = await take(subscription);

  await expect(delivery.nack({ delay: -1 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  await delivery.ack();

  await subscription.close();
});

async function take(subscription: PullSubscription): Promise<PullDelivery> {
  for await (const delivery of subscription) return delivery;
  throw new Error("the subscription has ended");
}
