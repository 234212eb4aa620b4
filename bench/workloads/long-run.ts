import {
  createContext,
  decode,
  eraseContentFromSources,
  idempotency,
  joiner,
  matchAll,
  memoryEventStore,
  pipeline,
  transformer,
} from "event-driver";
import { virtualClock } from "event-driver/testing";
import { z } from "zod";

import { collectedHeap } from "../harness/collected-heap.ts";
import { newOrders } from "./orders.ts";

export interface LongRunOptions {
  readonly messages: number;
}

export interface LongRun {
  /** The heap in bytes after a collection, ten times along the way. */
  readonly points: readonly { readonly processed: number; readonly heapUsed: number }[];
  readonly emitted: number;
  readonly timedOut: number;
}

/** Every so many orders, one never completes. */
const incompleteEvery = 10;

const ordersPerSecond = 100;
const window = 10_000;
const retention = 20_000;

const schema = z.object({
  event1: z.literal(""),
  event2: z.record(z.string(), z.unknown()),
  event3: z.record(z.string(), z.unknown()),
});

/**
 * Takes messages through the tutorial, on a memory store and a clock that moves on by one second every hundred orders; then the pipeline is swept.
 * Every tenth order lacks its last event, so that its window ends it. Needs Node's `--expose-gc`.
 */
export async function heapOverMessages({ messages }: LongRunOptions): Promise<LongRun> {
  const clock = virtualClock({ now: Date.parse("2026-03-01T00:00:00Z") });
  const store = memoryEventStore({ clock });
  const ctx = createContext({ clock });
  let [emitted, timedOut] = [0, 0];
  const orders = pipeline()
    .use(transformer(eraseContentFromSources("event1")))
    .use(
      joiner({
        store,
        condition: matchAll("event1", "event2", "event3"),
        window: { size: window },
        retention,
        onTimeout: async () => void (timedOut += 1),
      }),
    )
    .use(idempotency({ store, retention }))
    .use(decode(schema))
    .use(async () => void (emitted += 1));

  const points: { processed: number; heapUsed: number }[] = [];
  let processed = 0;
  while (processed < messages) {
    for (const [place, order] of newOrders(ordersPerSecond).entries()) {
      const events = place % incompleteEvery === 0 ? order.slice(0, 2) : order;
      for (const event of events) await orders.process(ctx, event);
      processed += events.length;
    }
    await clock.advance(1_000);
    for (let more = true; more;) ({ more } = await orders.sweep(ctx));
    if (processed >= ((points.length + 1) * messages) / 10) points.push({ processed, heapUsed: collectedHeap() });
  }
  return { points, emitted, timedOut };
}
