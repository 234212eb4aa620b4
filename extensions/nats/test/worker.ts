import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("./children/worker.ts", import.meta.url));

/** A process that works on a stream. */
export interface Worker {
  /** What it has said, line by line. */
  readonly lines: readonly string[];
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Its exit code, when it has ended by itself. */
  readonly ended: Promise<number | null>;
}

export function startWorker(task: "never finishes" | "closes under load", url: string, stream: string): Worker {
  const child: ChildProcess = spawn(process.execPath, ["-C", "@event-driver/source", script, task, url, stream], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(() => child.exitCode);
  return {
    lines,
    ended,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
