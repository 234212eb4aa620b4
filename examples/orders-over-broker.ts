import type { Connection } from "event-driver/streams";
import { type Context, createMessage, memoryEventStore, type Message } from "event-driver";
import { randomUUID } from "node:crypto";

import { orderPipeline } from "./01-orders/pipeline.ts";

const orders = ["order-1", "order-2", "order-3", "order-4", "order-5"];

/** Publishes the events of a few orders to a stream of its own, charges each order once, says so, and closes the connection. */
export async function chargeOrdersOver(connection: Connection): Promise<void> {
  const stream = `orders-${randomUUID()}`;
  const store = memoryEventStore();
  const charges = new Map<string, number>();
  const pipeline = orderPipeline(store, async (_ctx, { key }) => void charges.set(key, (charges.get(key) ?? 0) + 1));

  const events = orders.flatMap((key) => ["event1", "event2", "event3"].map((name) => event(key, name)));
  const published = shuffle([...events, ...events]);
  const { promise: allHandled, resolve } = Promise.withResolvers<void>();
  let handled = 0;
  const handle = async (ctx: Context, message: Message): Promise<void> => {
    await pipeline.process(ctx, message);
    handled += 1;
    if (handled === published.length) resolve();
  };

  // Before anything is published: not every broker keeps messages for those who come later. The two share the work.
  const workers = [await connection.subscribe(stream, handle), await connection.subscribe(stream, handle)];
  await Promise.all(published.map((message) => connection.publish(stream, message)));
  await allHandled;

  console.log(`Over ${connection.broker}, two subscriptions were given ${events.length} events, each twice, in any order.`);
  for (const key of [...charges.keys()].toSorted()) console.log(`charges of ${key}: ${charges.get(key)}`);

  // Unlike close, it also forgets how far they were: nobody comes back to this stream.
  for (const worker of workers) await worker.unsubscribe();
  await connection.close();
  await store.close();
}

function event(key: string, name: string): Message {
  return createMessage({ id: `${key}-${name}`, key, source: name, content: JSON.stringify({ note: `${name} of ${key}` }) });
}

function shuffle<Item>(items: readonly Item[]): readonly Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
