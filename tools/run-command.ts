import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds the whole project. */
export const projectRoot: string = dirname(dirname(fileURLToPath(import.meta.url)));

export interface RunOptions {
  /** @default the project's root */
  readonly cwd?: string;
  /**
   * Milliseconds after which the command is killed.
   * @default 600_000
   */
  readonly timeLimit?: number;
  /**
   * Where the output goes: kept for the caller, or shown at once and not kept.
   * @default "kept"
   */
  readonly output?: "kept" | "terminal";
}

export interface Outcome {
  readonly ok: boolean;
  /** Why it is not ok: the exit code, the signal or the time limit. Empty when it is. */
  readonly reason: string;
  readonly stdout: string;
  /** Standard output and standard error as they came. */
  readonly output: string;
}

/**
 * Runs a program and waits for its end; a failure is an outcome, not an error.
 *
 * Programs named without a folder are looked for next to the Node that runs this and among the project's own tools first.
 *
 * @throws what spawn reports when the program cannot be started at all
 */
export function runCommand(command: readonly [string, ...string[]], options: RunOptions = {}): Promise<Outcome> {
  const { cwd = projectRoot, timeLimit = 600_000, output = "kept" } = options;
  const [program, ...args] = command;

  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: environment(), stdio: output === "kept" ? ["ignore", "pipe", "pipe"] : "inherit" });
    const kept = { stdout: "", all: "" };
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
      // What the program had started may hold the pipes open for ever.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, timeLimit);

    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      kept.stdout += text;
      kept.all += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      kept.all += text;
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({
        ok: !late && code === 0,
        reason: describeEnd(late ? timeLimit : undefined, code, signal),
        stdout: kept.stdout,
        output: kept.all,
      });
    });
  });
}

function environment(): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), join(projectRoot, "node_modules", ".bin"), process.env["PATH"] ?? ""].join(delimiter);
  return { ...process.env, PATH: path };
}

function describeEnd(limit: number | undefined, code: number | null, signal: string | null): string {
  if (limit !== undefined) return `was not done after ${limit / 1000} s`;
  if (signal !== null) return `was ended by ${signal}`;
  return code === 0 ? "" : `exited with code ${code}`;
}
