import { expect, test } from "vitest";

import { shuffledDeliveries } from "../../examples/01-orders/demo/events.ts";
import { seededRandom } from "../../src/testing/event-store-kit/random.ts";
import { startCluster } from "./cluster.ts";
import { requestOf, sampleOrder, sampleOrders } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { startOrderSink } from "./order-sink.ts";
import { healthOf, post, sendAll } from "./senders.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "after %s a process finishes what is in flight, takes nothing more and says so, and ends with 0",
  async (signal) => {
    const answered = Promise.withResolvers<void>();
    const sink = await startOrderSink(createTimeline(), () => answered.promise.then(() => ({ status: 204 })));
    const [order, other] = [sampleOrder("order-1"), sampleOrder("order-2")];
    const STORE = `sqlite:${temporaryFolder()}/orders.db`;
    const service = startOrderService({ PORT: "0", STORE, K_SINK: sink.addressFor("it"), LOG_LEVEL: "fatal" });
    const url = await service.ready();
    const [event1, event2, event3] = order.events;
    await post(url, requestOf(event1));
    await post(url, requestOf(event2));
    const inFlight = post(url, requestOf(event3));
    await sink.until(() => sink.arrivals.length === 1);

    service.signal(signal);
    await expect.poll(() => healthOf(url), { timeout: 10_000 }).toBe(503);
    const refused = await post(url, requestOf(other.events[0]));
    answered.resolve();

    expect((await inFlight)?.status).toBe(204);
    expect(await service.ended).toBe(0);
    expect(refused?.status).toBe(503);
    expect(refused?.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(refused?.headers.get("connection")).toBe("close");
    expect(sink.accepted(order.key)).toHaveLength(1);
    expect(service.standardOutput).toBe(`listening on ${url}\n`);
  },
);

test("through a rolling restart under load every event is accepted, and every order goes out exactly once", async () => {
  const numbers = seededRandom(3);
  const random = (): number => numbers.below(2 ** 30) / 2 ** 30;
  const timeline = createTimeline();
  const sink = await startOrderSink(timeline);
  const cluster = await startCluster({ store: `sqlite:${temporaryFolder()}/orders.db`, size: 3, sink, timeline });
  const orders = sampleOrders(200);
  const deliveries = shuffledDeliveries(
    orders.flatMap(({ events }) => events),
    random,
  );

  // Every 60 requests the oldest process goes. Senders go on meanwhile, and wait only where the restarts fall behind by as many.
  const endings: (number | NodeJS.Signals | null)[] = [];
  let restarting: Promise<void> | undefined;
  let requests = 0;
  const replaceOldest = async (): Promise<void> => {
    const [oldest] = cluster.running;
    if (oldest !== undefined) endings.push(await cluster.replace(oldest));
    restarting = undefined;
  };
  const onRequest = async (): Promise<void> => {
    requests += 1;
    const due = Math.floor(requests / 60);
    if (due > endings.length) restarting ??= replaceOldest();
    if (due > endings.length + 1) await restarting;
  };
  const told = await sendAll(deliveries, { cluster, timeline, parallel: 24, patient: true, random, onRequest });
  await restarting;

  expect(await cluster.stop()).toEqual([0, 0, 0]);
  expect(endings.length).toBeGreaterThanOrEqual(6);
  expect(new Set(endings)).toEqual(new Set([0]));
  expect(told.accepted.size).toBe(orders.length * 3);
  expect(sink.arrivals).toHaveLength(orders.length);
  for (const { key, composed } of orders) expect(sink.accepted(key).map(({ body }) => body)).toEqual([composed]);
});
