import { expect, test } from "vitest";

import type { LongRun } from "../../bench/workloads/long-run.ts";

import { startChild } from "../../bench/harness/child.ts";
import { slopeOf } from "../../bench/harness/statistics.ts";

test("the heap stays flat over messages whose joins complete, time out and are forgotten", async () => {
  const child = startChild(new URL("../../bench/children/heap.ts", import.meta.url), ["100000"]);

  const { points, emitted, timedOut }: LongRun = JSON.parse(await child.hear());

  const bytesPerMessage = slopeOf(points.slice(1).map(({ processed, heapUsed }) => [processed, heapUsed]));
  expect(emitted).toBeGreaterThan(30_000);
  expect(timedOut).toBeGreaterThan(3_000);
  // What is kept for one order is more than 2,000 bytes; what the collector leaves lying varies by less than a tenth of this.
  expect(bytesPerMessage).toBeLessThan(100);
});
