import { runCommand } from "./run-command.ts";

/** One thing that must hold before a change lands. */
export interface Gate {
  /** What `npm run check -- NAME` runs alone, and what a failure is called. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Whether its output is shown when it passes too. */
  readonly loud?: boolean;
  /**
   * Milliseconds after which it counts as hanging.
   * @default 600_000
   */
  readonly timeLimit?: number;
}

/** Every gate, the quick ones first. */
export const gates: readonly Gate[] = [
  { name: "format", command: ["npm", "run", "--silent", "format:check"] },
  { name: "lint", command: ["npm", "run", "--silent", "lint"] },
  { name: "typecheck", command: ["npm", "run", "--silent", "typecheck"] },
  { name: "layers", command: ["node", "tools/layers.ts"] },
  { name: "unused", command: ["knip", "--no-progress"] },
  // With every server there, an emulator alone works for minutes; on a busy machine for many.
  { name: "test", command: ["npm", "test", "--silent"], loud: true, timeLimit: 3_000_000 },
  { name: "build", command: ["npm", "run", "--silent", "build"] },
  { name: "packages", command: ["node", "tools/package-shape.ts"], loud: true },
  { name: "consumer", command: ["node", "tools/consumer.ts"], loud: true },
  { name: "snippets", command: ["node", "tools/snippets.ts"], loud: true },
  { name: "examples", command: ["node", "tools/examples.ts"], loud: true },
];

/**
 * The gates to run: all, or only those named, in their usual order.
 *
 * @throws Error naming what is no gate, and what there is
 */
export function selectGates(all: readonly Gate[], names: readonly string[]): readonly Gate[] {
  const known = all.map((gate) => gate.name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no gate is called ${unknown.join(", ")}; there are ${known.join(", ")}`);
  return names.length === 0 ? all : all.filter((gate) => names.includes(gate.name));
}

/** Runs the gates one after another, stops at the first that fails, and says how long each took. Returns whether all passed. */
export async function runGates(chosen: readonly Gate[], write: (text: string) => void): Promise<boolean> {
  const begin = performance.now();
  for (const gate of chosen) {
    const start = performance.now();
    if (gate.loud) write(`\n== ${gate.name}\n`);
    const { timeLimit = 600_000 } = gate;
    const outcome = await runCommand(gate.command, { output: gate.loud ? "terminal" : "kept", timeLimit });
    if (!outcome.ok) {
      write(outcome.output);
      write(`\nFAILED ${gate.name} after ${seconds(start)}: ${gate.command.join(" ")} ${outcome.reason}\n`);
      write(`Run it alone with: npm run check -- ${gate.name}\n`);
      return false;
    }
    write(`passed ${gate.name} in ${seconds(start)}\n`);
  }
  write(`\nall ${chosen.length} gates passed in ${seconds(begin)}\n`);
  return true;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

if (import.meta.main) {
  const passed = await runGates(selectGates(gates, process.argv.slice(2)), (text) => process.stdout.write(text));
  process.exitCode = passed ? 0 : 1;
}
