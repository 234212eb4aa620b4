import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

import { Coverage } from "./coverage.ts";
import { type Catch, habitatOf, hunt } from "./hunt.ts";
import { environmentMutants, type Mutant, sourceMutants } from "./mutants.ts";
import { simulate } from "./simulate.ts";
import { sourcePatches } from "./source-mutants.ts";

const run = promisify(execFile);

describe("the simulation finds what is wrong when it is planted in the store or the handler", () => {
  test.for(environmentMutants)("$name", { timeout: 60_000 }, async (mutant) => {
    const caught = await hunt(mutant);

    expect(caught, `${mutant.name} showed in none of ${mutant.within} seeds`).toBeDefined();
    expect(await violationsWithout(mutant, caught)).toEqual([]);
  });
});

describe("the simulation finds what is wrong when it is planted in the source", () => {
  test.for(sourceMutants)("$name", { timeout: 60_000 }, async (mutant) => {
    const caught = await huntInOwnProcess(mutant);

    expect(caught, `${mutant.name} showed in none of ${mutant.within} seeds`).not.toBeNull();
    expect(await violationsWithout(mutant, caught ?? undefined)).toEqual([]);
  });

  test("every patch of the source has a place where it shows", () => {
    expect(sourceMutants.map((mutant) => mutant.name).sort()).toEqual(Object.keys(sourcePatches).sort());
  });
});

/** The same world without the mutant: what was found in it must be the mutant's doing. */
async function violationsWithout(mutant: Mutant, caught: Catch | undefined): Promise<readonly string[]> {
  const seed = caught?.seed ?? 0;
  const { steps, store } = habitatOf({ family: mutant.family }, seed);
  return simulate({ seed, scenario: { ...habitatOf(mutant, seed), steps, store }, coverage: new Coverage() });
}

/** The source is patched while it is loaded, which must not touch what other tests load. */
async function huntInOwnProcess({ name }: Mutant): Promise<Catch | null> {
  const script = fileURLToPath(new URL("run-source-mutant.ts", import.meta.url));
  const { stdout } = await run(process.execPath, ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", script, name]);
  return JSON.parse(stdout);
}
