import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { main } from "../src/main.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program within this process, which takes a hundredth of the time. */
export async function runHere(args: readonly string[], signal: AbortSignal = new AbortController().signal): Promise<Outcome> {
  const output = { stdout: "", stderr: "" };
  const code = await main(args, {
    write: (text) => (output.stdout += text),
    writeError: (text) => (output.stderr += text),
    signal,
  });
  return { code, ...output };
}

/** Runs the program as a process of its own, as a shell does. */
export function runProcess(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const child = spawn(process.execPath, ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", main, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...output }));
  });
}

/** The objects of an output that has one in each line. */
export function objectsIn({ stdout }: Outcome): readonly Readonly<Record<string, unknown>>[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
}

export function configFile(name: "memory" | "shop"): string {
  return fileURLToPath(new URL(`children/${name}.ts`, import.meta.url));
}
