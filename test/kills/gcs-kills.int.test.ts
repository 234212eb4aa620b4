import { beforeEach, expect, test, vi } from "vitest";

import { shuffledDeliveries } from "../../examples/01-orders/demo/events.ts";
import { seededRandom } from "../../src/testing/event-store-kit/random.ts";
import { suiteWith } from "../services.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { type FarBucket, farBucket, nothingLeftToSweep } from "./gcs-bucket.ts";
import { startWeather, type Weather } from "./gcs-weather.ts";
import { createKiller, type Killer, type Strike } from "./killer.ts";
import { requestOf, type SampleOrder, sampleOrders } from "./order-events.ts";
import { type OrderSink, startOrderSink } from "./order-sink.ts";
import { post, sendAll, type Told } from "./senders.ts";
import { createTimeline } from "./timeline.ts";
import { changed, unexplained } from "./verdict.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

/** Milliseconds, so many that what is missing at the end fails by its name: half a minute for the load, then a lease and a sweep. */
const timeout = 120_000;

const strikes: readonly Strike[] = [
  { moment: "any", after: 20 },
  { moment: "after the sink has accepted", after: 20 },
  { moment: "before the sink accepts", after: 15 },
  { moment: "after the sink has accepted", after: 15 },
  { moment: "any", after: 15 },
];

const suite = await suiteWith("gcs", "toxiproxy");

suite("two processes on a bucket, while one or the other is killed, connections break and the service refuses", { timeout }, () => {
  test("senders that repeat get every order out, once but for what a kill explains", async () => {
    const { orders, sink, cluster, killer, weather, told, bucket } = await sendUnderFire({ orders: 50, patient: true, strikes, seed: 1 });

    await nothingLeftToSweep(bucket.near);
    expect(await cluster.stop()).toEqual([0, 0]);

    expect(killer.left).toEqual([]);
    expect(weather.isFair).toBe(true);
    expect(told.accepted.size).toBe(orders.length * 3);
    expect(orders.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
    expect(unexplained(orders, { sink, killedAt: cluster.killedAt, doneAt: told.doneAt })).toEqual([]);
    expect(killer.unknowing).toHaveLength(2);
    expect(killer.unknowing.filter((key) => sink.accepted(key).length < 2)).toEqual([]);
  });

  test("where no sender tries again, the sweep of the survivors gets out what was accepted or begun", async () => {
    const fewer = strikes.slice(0, 3);
    const { orders, sink, cluster, killer, told, bucket } = await sendUnderFire({ orders: 80, patient: false, strikes: fewer, seed: 2 });
    const accepted = orders.filter(({ events }) => events.every(({ id }) => told.accepted.has(id)));

    await nothingLeftToSweep(bucket.near);
    expect(await cluster.stop()).toEqual([0, 0]);

    const begun = orders.filter(({ key }) => accepted.some((order) => order.key === key) || sink.arrivals.some((each) => each.key === key));
    expect(killer.left).toEqual([]);
    expect(accepted.length).toBeGreaterThan(10);
    expect(accepted.length).toBeLessThan(orders.length);
    expect(begun.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
    expect(unexplained(orders, { sink, killedAt: cluster.killedAt, doneAt: told.doneAt })).toEqual([]);
  });

  test("a bucket that has forgotten what it had taken is found out: the order that lacks it never comes", async () => {
    const [sink, bucket] = [await startOrderSink(createTimeline()), await farBucket()];
    const cluster = await startCluster({ store: bucket.store, size: 2, sink, timeline: createTimeline() });
    const orders = sampleOrders(3);
    const send = (index: 0 | 1 | 2) =>
      Promise.all(
        orders.map(({ events }, place) => post(cluster.running[place % cluster.running.length]?.url ?? "", requestOf(events[index]))),
      );

    const before = [...(await send(0)), ...(await send(1))];
    await bucket.near.scope("joiner").remove("order-2", "event2");
    const last = await send(2);
    await nothingLeftToSweep(bucket.near);

    expect(before.map((answer) => answer?.status)).toEqual(Array(6).fill(202));
    expect(last.map((answer) => answer?.status)).toEqual([204, 202, 204]);
    expect(orders.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual(["order-2 never came"]);
  });
});

interface Scenario {
  readonly orders: number;
  readonly patient: boolean;
  readonly strikes: readonly Strike[];
  readonly seed: number;
}

interface UnderFire {
  readonly orders: readonly SampleOrder[];
  readonly sink: OrderSink;
  readonly cluster: Cluster;
  readonly killer: Killer;
  readonly weather: Weather;
  readonly bucket: FarBucket;
  readonly told: Told;
}

/** Sends all events of so many orders, shuffled and with repeats. The weather is fair again when all are sent. */
async function sendUnderFire({ patient, seed, ...scenario }: Scenario): Promise<UnderFire> {
  const numbers = seededRandom(seed);
  const random = (): number => numbers.below(2 ** 30) / 2 ** 30;
  const timeline = createTimeline();
  const orders = sampleOrders(scenario.orders);
  const deliveries = shuffledDeliveries(
    orders.flatMap(({ events }) => events),
    random,
  );
  const killer = createKiller(scenario.strikes, () => cluster, random);
  const sink = await startOrderSink(timeline, killer.answer);
  const bucket = await farBucket();
  const cluster = await startCluster({ store: bucket.store, size: 2, sink, timeline });
  const weather = await startWeather({ bucket, lasts: 50, rounds: 2, random });
  const told = await sendAll(deliveries, { cluster, timeline, parallel: 24, patient, random, onRequest: killer.onRequest });
  await weather.clear();
  return { orders, sink, cluster, killer, weather, bucket, told };
}
