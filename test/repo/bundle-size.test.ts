import { expect, test } from "vitest";

import { bundledSize, pipelineAlone, wholeEntry } from "../../bench/workloads/bundles.ts";

test("the whole entry with its dependencies is less than 20 kB after gzip", async () => {
  const size = await bundledSize(wholeEntry);

  expect(size).toBeLessThan(20_000);
});

test("pipeline alone is less than 5 kB after gzip, for what it does not use is left out", async () => {
  const size = await bundledSize(pipelineAlone);

  expect(size).toBeLessThan(5_000);
});
