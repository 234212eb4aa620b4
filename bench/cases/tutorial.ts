import { memoryEventStore } from "event-driver";

import type { RunCase } from "../harness/result.ts";

import { alternate, type Contestant, costRatio, cpuTime, measurements } from "../harness/alternate.ts";
import { nestedByHand } from "../workloads/nested-by-hand.ts";
import { type Contents, newOrders, shortContents } from "../workloads/orders.ts";
import { processOrders, tutorialPipeline } from "../workloads/tutorial.ts";

/**
 * Orders of three events each, one after another, on a new store in each round: a third of what an order costs. The target is for events as the
 * example sends them; how much longer ones cost is shown beside it.
 */
export const tutorial: RunCase = async ({ quick }) => {
  const orders = quick ? 2_000 : 4_000;
  const passes = orders * 20;
  const byHand = nestedByHand();
  const [event] = newOrders(1).flat();
  if (event === undefined) throw new Error("an order has events");

  const samples = await alternate(
    [
      whole("tutorial", orders, shortContents),
      whole("tutorial, events of 400 bytes", orders),
      {
        name: "five functions nested by hand",
        round: () =>
          cpuTime(passes, async () => {
            for (let pass = 0; pass < passes; pass += 1) await byHand(event);
          }),
      },
    ],
    { warmUp: 5, measured: quick ? 7 : 25 },
  );

  return {
    measurements: measurements(samples, "µs CPU"),
    checks: [costRatio(samples, "tutorial", "five functions nested by hand", { most: 20 })],
  };
};

function whole(name: string, orders: number, contents?: Contents): Contestant {
  return {
    name,
    round() {
      const processor = tutorialPipeline(memoryEventStore());
      const events = newOrders(orders, contents);
      return cpuTime(orders * 3, () => processOrders(processor, events, 1));
    },
  };
}
