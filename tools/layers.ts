import { join } from "node:path";

import { projectRoot, runCommand } from "./run-command.ts";

/** What dependency-cruiser reports, as far as it is read here. */
interface Cruise {
  readonly summary: { readonly totalCruised: number; readonly violations: readonly Violation[] };
}

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
  readonly cycle?: readonly { readonly name: string }[];
}

export interface LayerReport {
  /** How many modules were read. None means that the check itself is broken, never that all is well. */
  readonly modules: number;
  /** One line for each import that breaks a rule. */
  readonly violations: readonly string[];
}

/**
 * Checks who imports whom under `src` and `extensions` of the given root against the rules of .dependency-cruiser.json.
 *
 * @throws Error with the tool's own words when it could not run
 */
export async function checkLayers(root: string = projectRoot): Promise<LayerReport> {
  const outcome = await runCommand(
    ["depcruise", "--config", join(projectRoot, ".dependency-cruiser.json"), "--output-type", "json", "src", "extensions"],
    { cwd: root },
  );
  if (!outcome.stdout.startsWith("{")) throw new Error(`dependency-cruiser ${outcome.reason}:\n${outcome.output}`);
  const { summary }: Cruise = JSON.parse(outcome.stdout);
  return { modules: summary.totalCruised, violations: summary.violations.map(describe) };
}

function describe({ rule, from, to, cycle }: Violation): string {
  const path = cycle === undefined ? [from, to] : [from, ...cycle.map((step) => step.name)];
  return `${rule.name}: ${path.join(" -> ")}`;
}

if (import.meta.main) {
  const { modules, violations } = await checkLayers();
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  if (modules === 0) process.stdout.write("no module was read: is a parser for TypeScript installed?\n");
  else process.stdout.write(`${modules} modules, ${violations.length} imports against the rules of .dependency-cruiser.json\n`);
  process.exitCode = modules > 0 && violations.length === 0 ? 0 : 1;
}
