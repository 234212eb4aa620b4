import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";

import { openSource } from "../../examples/01-orders/source.ts";
import { seededRandom } from "../../src/testing/event-store-kit/random.ts";
import { type BrokerName, type OwnBroker, ownBroker } from "../broker-process.ts";
import { suiteWith } from "../services.ts";
import { startCluster } from "./cluster.ts";
import { createKiller, type Strike } from "./killer.ts";
import { sampleOrders } from "./order-events.ts";
import { startOrderSink } from "./order-sink.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";
import { changed, type Outage, unexplained } from "./verdict.ts";

/** Milliseconds. A broker takes up to 20 seconds to be back on a busy machine, and a service that was killed keeps its claims for a lease. */
const timeout = 360_000;
/** Milliseconds from the last message published to the last order. */
const patience = 240_000;

/** Kafka would give the dead 45 seconds to come back, and everybody would wait: here twice. A broker allows no less than this. */
const soonGivenUp = "sessionTimeout=6000";

const brokers: readonly BrokerName[] = ["nats", "kafka", "rabbitmq", "mqtt", "pulsar"];

/** By how many messages were published. The sink's moments come last and at once: how soon orders come there is up to the broker. */
const strikes: readonly Strike[] = [
  { moment: "any", after: 40 },
  { moment: "any", after: 40 },
  { moment: "after the sink has accepted", after: 0 },
  { moment: "before the sink accepts", after: 0 },
];
const brokerDies: ReadonlySet<number> = new Set([60, 180]);

for (const name of brokers) {
  const suite = await suiteWith(name);
  suite(`orders over ${name}`, () => {
    test("whatever is killed, services and broker, all that was published comes out, an order under one id", { timeout }, async () => {
      const random = seededRandom(3);
      const timeline = createTimeline();
      const orders = sampleOrders(80);
      const published = shuffledTwice(
        orders.flatMap(({ events }) => events),
        (limit) => random.below(limit),
      );
      const broker = await startBroker(name);
      const killer = createKiller(
        strikes,
        () => cluster,
        () => random.below(2 ** 30) / 2 ** 30,
      );
      const sink = await startOrderSink(timeline, killer.answer);
      const store = `sqlite:${temporaryFolder()}/orders.db`;
      const source = name === "kafka" ? `${broker.url}?${soonGivenUp}` : broker.url;
      const cluster = await startCluster({ store, source, size: 3, sink, timeline });

      const connection = await openSource(broker.url, {});
      onTestFinished(() => connection.close({ limit: 0 }));
      const outages: Outage[] = [];
      let count = 0;
      for (const messages of inGroups(published, 8)) {
        await Promise.all(messages.map((message) => publishUntilConfirmed(connection, message)));
        for (const _ of messages) {
          await killer.onRequest();
          count += 1;
          if (!brokerDies.has(count)) continue;
          const from = timeline.next();
          await killAndRestart(name, broker);
          outages.push({ from, to: timeline.next() });
        }
      }
      const missing = (): readonly string[] => orders.filter(({ key }) => sink.accepted(key).length === 0).map(({ key }) => key);
      await expect.poll(missing, { timeout: patience, interval: 200 }).toEqual([]);

      expect(await cluster.stop()).toEqual([0, 0, 0]);
      expect(killer.left).toEqual([]);
      expect(orders.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
      expect(unexplained(orders, { sink, killedAt: cluster.killedAt, doneAt: new Map(), outages })).toEqual([]);
    });
  });
}

async function startBroker(name: BrokerName): Promise<OwnBroker> {
  const broker = await ownBroker(name);
  onTestFinished(() => broker.stop());
  return broker;
}

async function killAndRestart(name: BrokerName, broker: OwnBroker): Promise<void> {
  // RabbitMQ 3.10 forgets a quorum queue that was declared less than about two seconds before it is killed.
  if (name === "rabbitmq") await pause(2_500);
  await broker.kill();
  await broker.restart();
}

/** Publishes it until the broker says that it has it, as a publisher must that may not lose it. */
async function publishUntilConfirmed(connection: Connection, message: Message): Promise<void> {
  for (;;) {
    try {
      await connection.publish("orders", message);
      return;
    } catch {
      await pause(100);
    }
  }
}

/** Every message, some of them twice, in an order that only chance knows. */
function shuffledTwice(messages: readonly Message[], below: (limit: number) => number): readonly Message[] {
  const all = [...messages, ...messages.filter(() => below(4) === 0)];
  return all
    .map((message) => ({ message, place: below(2 ** 30) }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ message }) => message);
}

function inGroups<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}
