import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { firstDifference } from "./expected-output.ts";
import { projectRoot, runCommand } from "./run-command.ts";
import { isReachable, type Service, services } from "./services.ts";

export interface ExampleOptions {
  /**
   * Milliseconds one example may run.
   * @default 120_000
   */
  readonly timeLimit?: number;
}

/** How an example finds the packages: by their sources, as a contributor runs it, or as built, as a user gets them. */
export type Resolution = "sources" | "packages";

/**
 * The folders with an `expected.txt`, at any depth below examples/; beside it stands the `main.ts` that writes it.
 *
 * @throws Error when there is none, or when a folder directly below examples/ holds none
 */
export function findExamples(root: string = projectRoot): readonly string[] {
  const examples = globSync("examples/**/expected.txt", { cwd: root, exclude: ["**/node_modules/**"] })
    .map((file) => dirname(file))
    .toSorted();
  if (examples.length === 0) throw new Error("no folder below examples/ has an expected.txt");
  for (const { name } of globSync("examples/*", { cwd: root, withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    if (!examples.some((example) => `${example}/`.startsWith(`examples/${name}/`)))
      throw new Error(`examples/${name} has no expected.txt, so nobody would notice when it breaks`);
  }
  return examples;
}

/** The servers that an example talks to: those whose variables its main.ts reads. */
export function serversOf(folder: string): readonly Service[] {
  const main = readFileSync(join(folder, "main.ts"), "utf8");
  return Object.values(services).filter(({ variable }) => main.includes(`process.env["${variable}"]`));
}

/** Runs an example in its own folder, tells it where its servers are, and compares its standard output with expected.txt. Returns what is wrong, or `undefined`. */
export async function runExample(folder: string, resolution: Resolution, options: ExampleOptions = {}): Promise<string | undefined> {
  const condition = resolution === "sources" ? ["-C", "@event-driver/source"] : [];
  const addresses = serversOf(folder).map(({ variable, url }) => `${variable}=${url}`);
  const command = ["node", ...condition, "--disable-warning=ExperimentalWarning", "main.ts"];
  const { ok, reason, stdout, output } = await runCommand(["env", ...addresses, ...command], {
    cwd: folder,
    timeLimit: options.timeLimit ?? 120_000,
  });
  if (!ok) return `${reason}\n${output}`;
  const difference = firstDifference(readFileSync(join(folder, "expected.txt"), "utf8"), stdout);
  return difference === undefined ? undefined : `wrote something else than expected.txt, first on ${difference}\n${output}`;
}

/** Runs every example both ways, and says aloud which ones are left out because a server does not answer. With `REQUIRE_SERVICES=1` these have failed. */
export async function runAll(root: string, write: (line: string) => void): Promise<boolean> {
  let passed = true;
  for (const example of findExamples(root)) {
    const silent = await firstSilent(serversOf(join(root, example)));
    if (silent !== undefined) {
      write(`${example} LEFT OUT: no answer at ${silent.url}; start its server with scripts/services start`);
      passed &&= process.env["REQUIRE_SERVICES"] !== "1";
      continue;
    }
    for (const resolution of ["sources", "packages"] as const) {
      const start = performance.now();
      const failure = await runExample(join(root, example), resolution);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      write(`${example} on the ${resolution}: ${failure ?? `as expected in ${seconds} s`}`);
      passed &&= failure === undefined;
    }
  }
  return passed;
}

async function firstSilent(servers: readonly Service[]): Promise<Service | undefined> {
  const answers = await Promise.all(servers.map(({ url }) => isReachable(url)));
  return servers[answers.indexOf(false)];
}

if (import.meta.main) {
  const passed = await runAll(projectRoot, (line) => process.stdout.write(`${line}\n`));
  process.exitCode = passed ? 0 : 1;
}
