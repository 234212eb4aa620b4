import { memoryEventStore } from "event-driver";

import type { RunCase } from "../harness/result.ts";

import { alternate, costRatio, cpuTime, measurements } from "../harness/alternate.ts";
import { nestedByHand } from "../workloads/nested-by-hand.ts";
import { newOrders } from "../workloads/orders.ts";
import { processOrders, tutorialPipeline } from "../workloads/tutorial.ts";

/** Orders of three events each, one after another, on a new store in each round: a third of what an order costs. */
export const tutorial: RunCase = async ({ quick }) => {
  const orders = quick ? 2_000 : 4_000;
  const passes = orders * 20;
  const byHand = nestedByHand();
  const [event] = newOrders(1).flat();
  if (event === undefined) throw new Error("an order has events");

  const samples = await alternate(
    [
      {
        name: "tutorial",
        round() {
          const processor = tutorialPipeline(memoryEventStore());
          const events = newOrders(orders);
          return cpuTime(orders * 3, () => processOrders(processor, events, 1));
        },
      },
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
