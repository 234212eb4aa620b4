import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { firstDifference } from "./expected-output.ts";
import { projectRoot, runCommand } from "./run-command.ts";

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

/** Runs an example in its own folder and compares its standard output with expected.txt. Returns what is wrong, or `undefined`. */
export async function runExample(folder: string, resolution: Resolution, options: ExampleOptions = {}): Promise<string | undefined> {
  const condition = resolution === "sources" ? ["-C", "@event-driver/source"] : [];
  const { ok, reason, stdout, output } = await runCommand(["node", ...condition, "--disable-warning=ExperimentalWarning", "main.ts"], {
    cwd: folder,
    timeLimit: options.timeLimit ?? 120_000,
  });
  if (!ok) return `${reason}\n${output}`;
  const difference = firstDifference(readFileSync(join(folder, "expected.txt"), "utf8"), stdout);
  return difference === undefined ? undefined : `wrote something else than expected.txt, first on ${difference}\n${output}`;
}

async function runAll(): Promise<boolean> {
  let passed = true;
  for (const example of findExamples()) {
    for (const resolution of ["sources", "packages"] as const) {
      const start = performance.now();
      const failure = await runExample(join(projectRoot, example), resolution);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      process.stdout.write(`${example} on the ${resolution}: ${failure ?? `as expected in ${seconds} s`}\n`);
      passed &&= failure === undefined;
    }
  }
  return passed;
}

if (import.meta.main) process.exitCode = (await runAll()) ? 0 : 1;
