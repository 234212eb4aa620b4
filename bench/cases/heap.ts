import type { RunCase } from "../harness/result.ts";

import { check } from "../harness/result.ts";
import { slopeOf, spreadOf } from "../harness/statistics.ts";
import { heapOverMessages } from "../workloads/long-run.ts";

/** A leak of one byte a message is a megabyte in a million; one entry that stayed for each order would be several hundred. */
const flat = { most: 1 };

export const heap: RunCase = async ({ quick }) => {
  const messages = quick ? 100_000 : 1_000_000;

  const { points, emitted, timedOut } = await heapOverMessages({ messages });

  // At first what is kept for the length of a window and a retention fills up, and Node drops code that it needed only for the start.
  const settled = points.slice(3).map(({ processed, heapUsed }): [number, number] => [processed, heapUsed / 1_000_000]);
  return {
    measurements: points.map(({ processed, heapUsed }) => ({
      contestant: `heap after ${processed.toLocaleString("en")} messages`,
      figure: spreadOf([heapUsed / 1_000_000]),
      unit: "MB",
    })),
    checks: [check("growth over the whole run, by least squares", [slopeOf(settled) * messages], "MB", flat)],
    notes: [
      `${emitted.toLocaleString("en")} orders were joined, ${timedOut.toLocaleString("en")} windows ended before their order was complete`,
    ],
  };
};
