import { expect, test } from "vitest";

import { Coverage } from "./coverage.ts";
import { scenarioOf } from "./scenarios.ts";
import { simulationSettings } from "./settings.ts";
import { simulate } from "./simulate.ts";

const { seed: only, seeds } = simulationSettings();
/** With fewer seeds, some things are never made to go wrong, and that says nothing. */
const seedsThatCover = 12_000;

const replays = only !== undefined;

test(
  `no order is lost, doubled or changed, whatever goes wrong: ${replays ? `seed ${only}` : `${seeds} seeds`}`,
  { timeout: 600_000 },
  async () => {
    const coverage = new Coverage();

    for (const seed of replays ? [only] : Array(seeds).keys()) {
      const scenario = scenarioOf(seed);
      if (replays) write(`seed ${seed}: ${JSON.stringify(scenario)}`);
      const violations = await simulate({ seed, scenario, coverage, ...(replays && { onTrace: write }) });
      expect(violations, `seed ${seed} (${scenario.family}) fails; replay it with SIMULATION_SEED=${seed}`).toEqual([]);
    }

    if (!replays) write(`\nHow often each call went wrong in each way, over ${seeds} seeds:\n\n${coverage.table()}\n`);
    expect(replays || seeds < seedsThatCover ? [] : coverage.gaps(), "nothing went wrong here in this way").toEqual([]);
  },
);

test("a seed runs the same way every time", async () => {
  const seed = 29;

  const [first, second] = [await traceOf(seed), await traceOf(seed)];

  expect(first.length).toBeGreaterThan(100);
  expect(second).toEqual(first);
});

async function traceOf(seed: number): Promise<readonly string[]> {
  const lines: string[] = [];
  await simulate({
    seed,
    scenario: scenarioOf(seed),
    coverage: new Coverage(),
    onTrace: (line) => void lines.push(withoutRandomIds(line)),
  });
  return lines;
}

/** Owners and tokens are random in every run, and nothing depends on them. */
function withoutRandomIds(line: string): string {
  return line.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "id");
}

function write(text: string): void {
  process.stdout.write(`${text}\n`);
}
