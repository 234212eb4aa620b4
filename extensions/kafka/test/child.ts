import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process of its own that works on a stream. */
export interface Worker {
  /** The lines that it has printed. */
  readonly lines: () => readonly string[];
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Resolves with its exit code when it has ended by itself. */
  ended(): Promise<number | null>;
}

/** Runs `children/worker.ts`. */
export function startWorker(...args: readonly string[]): Worker {
  const program = fileURLToPath(new URL("./children/worker.ts", import.meta.url));
  const child: ChildProcess = spawn(
    process.execPath,
    ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", program, ...args],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const exit = once(child, "exit");
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => void (printed += text));
  return {
    lines: () => printed.split("\n").slice(0, -1),
    async kill() {
      child.kill("SIGKILL");
      await exit;
    },
    async ended() {
      await exit;
      return child.exitCode;
    },
  };
}
