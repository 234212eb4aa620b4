import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";

import type { CaseResult } from "./harness/result.ts";

import { cases } from "./cases/index.ts";
import { startChild } from "./harness/child.ts";
import { formatCase, formatSummary } from "./harness/report.ts";

const usage = `npm run bench -- [GROUP]... [--case NAME]... [--quick] [--json FILE]
A group is all cases whose names begin with it: streams is streams-publish-nats and so on.
cases: ${[...cases.keys()].join(", ")}
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    case: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const unknown = [...values.case.filter((name) => !cases.has(name)), ...positionals.filter((group) => casesOf(group).length === 0)];
const named = [...positionals.flatMap(casesOf), ...values.case];
if (values.help || unknown.length > 0) {
  if (unknown.length > 0) process.stderr.write(`no case is called ${unknown.join(", ")}\n`);
  process.stderr.write(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  await runCases(named.length === 0 ? [...cases.keys()] : named, values.quick, values.json);
}

function casesOf(group: string): readonly string[] {
  return [...cases.keys()].filter((name) => name === group || name.startsWith(`${group}-`));
}

async function runCases(names: readonly string[], quick: boolean, file: string | undefined): Promise<void> {
  const machine = { processor: cpus()[0]?.model ?? "unknown", cores: availableParallelism(), memory: totalmem(), node: process.version };
  process.stdout.write(
    `Node ${machine.node}, ${machine.cores} cores of ${machine.processor}${quick ? ", quick: figures are rough" : ""}\n`,
  );
  process.stdout.write("median, the middle half of the rounds, target, reached; ratios are made pair by pair\n\n");
  const results: CaseResult[] = [];
  for (const name of names) {
    const result = await runCase(name, quick);
    results.push(result);
    process.stdout.write(`${formatCase(result)}\n`);
  }
  process.stdout.write(formatSummary(results));
  if (file !== undefined) {
    const measured = { at: new Date().toISOString(), quick, machine, cases: results };
    await writeFile(file, `${JSON.stringify(measured, undefined, 2)}\n`);
  }
}

/** One that fails is told, and does not take the others with it. */
async function runCase(name: string, quick: boolean): Promise<CaseResult> {
  const child = startChild(new URL("case.ts", import.meta.url), [name, JSON.stringify({ quick })]);
  try {
    return JSON.parse(await child.hear());
  } catch (error) {
    process.exitCode = 1;
    const title = cases.get(name)?.title ?? "";
    return { name, title, measurements: [], checks: [], notes: [`failed: ${error instanceof Error ? error.message : String(error)}`] };
  }
}
