#!/usr/bin/env node
import process, { argv, exit, stderr, stdout } from "node:process";

import { CommanderError } from "commander";

import { inOneLine } from "./one-line.ts";
import { programOf } from "./program.ts";
import { Usage } from "./usage.ts";

/** Where the program writes to, and what ends it early. */
export interface MainOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Aborting ends it after the message that is under way. */
  readonly signal: AbortSignal;
}

/**
 * Runs one command of `event-driver`, and resolves to its exit code: 0 when all was done, 1 when something failed or was interrupted, 2 when it was not asked
 * for in a way that it understands.
 *
 * @param args what stands behind the name of the program
 * @example process.exitCode = await main(["dead-letters", "list", "--store", "sqlite:orders.db"], { write, writeError, signal });
 */
export async function main(args: readonly string[], { write, writeError, signal }: MainOptions): Promise<number> {
  let code = 0;
  const program = programOf({ write, writeError, signal, fail: () => (code = 1) });
  try {
    await program.parseAsync(args, { from: "user" });
    return signal.aborted ? 1 : code;
  } catch (error) {
    // Commander has said so itself, and asking for help is no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    writeError(`error: ${inOneLine(error)}\n`);
    return error instanceof Usage ? 2 : 1;
  }
}

async function runHere(): Promise<void> {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
  // Whoever read has had enough, as `head` has.
  stdout.on("error", () => controller.abort());
  const code = await main(argv.slice(2), {
    write: (text) => void stdout.write(text),
    writeError: (text) => void stderr.write(text),
    signal: controller.signal,
  });
  // A client that has not let go of its socket must not keep the program; what it wrote has to get out first.
  stdout.write("", () => exit(code));
}

if (import.meta.main) void runHere();
