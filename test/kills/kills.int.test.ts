import { sqliteEventStore } from "@event-driver/sqlite";
import { expect, onTestFinished, test } from "vitest";

import type { OrderSink } from "./order-sink.ts";

import { shuffledDeliveries } from "../../examples/01-orders/demo/events.ts";
import { seededRandom } from "../../src/testing/event-store-kit/random.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { createKiller, type Killer, type Strike } from "./killer.ts";
import { type SampleOrder, sampleOrders } from "./order-events.ts";
import { startOrderSink } from "./order-sink.ts";
import { sendAll, type Told } from "./senders.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";
import { changed, unexplained } from "./verdict.ts";

/** Milliseconds, so many that what is missing at the end fails by its name: a few for the load, then a lease and a sweep. */
const timeout = 90_000;

/** The strikes come earlier than the last of them could: most orders become complete towards the end. */
const strikes: readonly Strike[] = [
  { moment: "any", after: 60 },
  { moment: "after the sink has accepted", after: 60 },
  { moment: "before the sink accepts", after: 40 },
  { moment: "any", after: 60 },
  { moment: "after the sink has accepted", after: 60 },
  { moment: "any", after: 40 },
  { moment: "before the sink accepts", after: 60 },
  { moment: "after the sink has accepted", after: 40 },
];

test(
  "whatever is killed at whatever moment, senders that repeat get every order out, once but for what a kill explains",
  { timeout },
  async () => {
    const { orders, sink, cluster, killer, told } = await sendUnderFire({ orders: 300, patient: true, seed: 1 });

    await nothingLeftToSweep(cluster.file);
    expect(await cluster.stop()).toEqual([0, 0, 0]);

    expect(killer.left).toEqual([]);
    expect(told.accepted.size).toBe(orders.length * 3);
    expect(orders.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
    expect(unexplained(orders, { sink, killedAt: cluster.killedAt, doneAt: told.doneAt })).toEqual([]);
    expect(killer.unknowing).toHaveLength(3);
    for (const key of killer.unknowing) expect(sink.accepted(key).length).toBeGreaterThan(1);
  },
);

test("where no sender tries again, the sweep of the survivors gets out what was accepted or begun", { timeout }, async () => {
  const { orders, sink, cluster, killer, told } = await sendUnderFire({ orders: 300, patient: false, seed: 2 });
  const accepted = orders.filter(({ events }) => events.every(({ id }) => told.accepted.has(id)));

  await nothingLeftToSweep(cluster.file);
  expect(await cluster.stop()).toEqual([0, 0, 0]);

  const begun = new Set(sink.arrivals.map(({ key }) => key));
  expect(killer.left).toEqual([]);
  expect(accepted.length).toBeGreaterThan(100);
  expect(accepted.length).toBeLessThan(orders.length);
  for (const { key } of accepted) expect(begun).toContain(key);
  expect(orders.filter(({ key }) => begun.has(key)).flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
  expect(unexplained(orders, { sink, killedAt: cluster.killedAt, doneAt: told.doneAt })).toEqual([]);
  for (const key of killer.unknowing) expect(sink.accepted(key).length).toBeGreaterThan(1);
});

interface UnderFire {
  readonly orders: readonly SampleOrder[];
  readonly sink: OrderSink;
  readonly cluster: Cluster & { readonly file: string };
  readonly killer: Killer;
  readonly told: Told;
}

/** Sends all events of so many orders, shuffled and with repeats, to three processes while these are being killed. */
async function sendUnderFire(scenario: { readonly orders: number; readonly patient: boolean; readonly seed: number }): Promise<UnderFire> {
  const numbers = seededRandom(scenario.seed);
  const random = (): number => numbers.below(2 ** 30) / 2 ** 30;
  const timeline = createTimeline();
  const orders = sampleOrders(scenario.orders);
  const deliveries = shuffledDeliveries(
    orders.flatMap(({ events }) => events),
    random,
  );
  const killer = createKiller(strikes, () => cluster, random);
  const sink = await startOrderSink(timeline, killer.answer);
  const file = `${temporaryFolder()}/orders.db`;
  const cluster = { file, ...(await startCluster({ store: `sqlite:${file}`, size: 3, sink, timeline })) };
  const { patient } = scenario;
  const told = await sendAll(deliveries, { cluster, timeline, parallel: 24, patient, random, onRequest: killer.onRequest });
  return { orders, sink, cluster, killer, told };
}

/** Resolves when nothing in the file is due within the next hour: no emission is open, and the state of ended joins is kept for a day. */
async function nothingLeftToSweep(file: string): Promise<void> {
  const store = sqliteEventStore({ file });
  onTestFinished(() => store.close());
  const due = (): Promise<unknown> => store.scope("joiner").listDue({ before: Date.now() + 3_600_000, limit: 100 });
  await expect.poll(due, { timeout: 40_000, interval: 200 }).toEqual([]);
}
