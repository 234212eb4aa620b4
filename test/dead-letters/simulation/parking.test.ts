import { env } from "node:process";
import { expect, test } from "vitest";

import { simulationSettings } from "../../simulation/settings.ts";
import { mutants } from "./mutants.ts";
import { simulate } from "./world.ts";

/** As many as `SIMULATION_SEEDS` says, or enough to find each mutant several times over. */
const { seed, seeds: asked } = simulationSettings({ SIMULATION_SEEDS: "150", ...env });
const seeds = seed === undefined ? Array.from({ length: asked }, (_, each) => each) : [seed];

test("whatever fails, crashes or comes late, no message of a parked key is lost or overtaken", { timeout: 600_000 }, async () => {
  const wrong: string[] = [];

  for (const each of seeds) wrong.push(...(await simulate(each)).map((what) => `seed ${each}: ${what}`));

  expect(wrong).toEqual([]);
});

test.each([...mutants])("it would find %s", { timeout: 120_000 }, async (_name, mutant) => {
  let found: readonly string[] = [];

  for (const each of seeds) {
    found = await simulate(each, mutant);
    if (found.length > 0) break;
  }

  expect(found).not.toEqual([]);
});
