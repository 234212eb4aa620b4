import type { Mutant } from "./mutants.ts";
import type { Scenario } from "./scenario.ts";

import { Coverage } from "./coverage.ts";
import { scenarioOf } from "./scenarios.ts";
import { simulate } from "./simulate.ts";

/** What a hunt has found: the first seed that shows the mutant, and how it shows. */
export interface Catch {
  readonly seed: number;
  readonly violations: readonly string[];
}

/** The world in which a mutant is looked for under a seed. */
export function habitatOf({ family, fixed }: Pick<Mutant, "family" | "fixed">, seed: number): Scenario {
  return { ...scenarioOf(seed, family), ...fixed };
}

/** Tries seeds until one shows the mutant; `undefined` when none did. */
export async function hunt(mutant: Mutant): Promise<Catch | undefined> {
  for (let seed = 0; seed < mutant.within; seed += 1) {
    const violations = await show(mutant, seed);
    if (violations.length > 0) return { seed, violations };
  }
  return undefined;
}

/** How many of so many seeds show it: its rate, for the table in the README. */
export async function countShowing(mutant: Mutant, seeds: number): Promise<number> {
  let showing = 0;
  for (let seed = 0; seed < seeds; seed += 1) if ((await show(mutant, seed)).length > 0) showing += 1;
  return showing;
}

function show(mutant: Mutant, seed: number): Promise<readonly string[]> {
  const { mutateStore } = mutant;
  return simulate({ seed, scenario: habitatOf(mutant, seed), coverage: new Coverage(), ...(mutateStore && { mutateStore }) });
}
