import { createContext, type EventStore, type Message, type Processor } from "event-driver";

import { orderPipeline } from "../../examples/01-orders/pipeline.ts";

/** The order service's pipeline, with a business handler that does nothing. */
export function tutorialPipeline(store: EventStore): Processor {
  return orderPipeline(store, async () => {});
}

/** Takes the events of each order one after another, and so many orders side by side. */
export async function processOrders(orders: Processor, events: readonly (readonly Message[])[], inFlight: number): Promise<void> {
  const ctx = createContext();
  const waiting = events.values();
  const takeOrders = async (): Promise<void> => {
    for (const order of waiting) for (const event of order) await orders.process(ctx, event);
  };
  await Promise.all(Array.from({ length: inFlight }, takeOrders));
}
