import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";

const flags = ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning"];

/** The command line that runs one of the programs beside this file, from source. */
export function commandOf(program: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, ...flags, fileURLToPath(new URL(`./${program}.ts`, import.meta.url)), ...args];
}

/** Runs a command to its end, and resolves with what it printed; rejects when it fails. */
export async function output([command = "", ...args]: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Runs a command until it has printed a number of lines, then kills it. Resolves with the whole lines it had printed by its end. */
export function outputUntilKilled([command = "", ...args]: readonly string[], lines: number): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      if (printed.split("\n").length > lines) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", () => resolve(printed.split("\n").slice(0, -1)));
  });
}
