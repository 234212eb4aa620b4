import type { RunCase } from "../harness/result.ts";

import { check } from "../harness/result.ts";
import { bundledSize, pipelineAlone, wholeEntry } from "../workloads/bundles.ts";

/** Sizes are the same wherever they are measured, so test/repo/bundle-size.test.ts holds them to these targets too. */
export const bundle: RunCase = async () => ({
  measurements: [],
  checks: [
    check("the whole entry with its dependencies, after gzip", [(await bundledSize(wholeEntry)) / 1_000], "kB", { most: 20 }),
    check("pipeline alone, after gzip", [(await bundledSize(pipelineAlone)) / 1_000], "kB", { most: 5 }),
  ],
});
