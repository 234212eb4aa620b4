import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The function in a process of its own, as one instance of it would run. */
export interface Instance {
  readonly url: string;
  /** The messages it has logged so far, each with the key or id that it is about. */
  readonly logged: readonly string[];
  /** What Google sends before it ends an instance. */
  terminate(): void;
  readonly exitCode: Promise<number | null>;
}

/** Starts an instance and waits until it listens. */
export async function startInstance(environment: Readonly<Record<string, string>>): Promise<Instance> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL("./instance.ts", import.meta.url))], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exitCode = once(child, "close").then(([code]) => (typeof code === "number" ? code : null));
  const listening = Promise.withResolvers<string>();
  const logged: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("listening on ")) listening.resolve(line.slice(13));
    else logged.push(describe(JSON.parse(line)));
  });
  void exitCode.then((code) => listening.reject(new Error(`the instance ended with ${code} before it listened`)));
  return { url: await listening.promise, logged, terminate: () => void child.kill("SIGTERM"), exitCode };
}

/** The fields of a line that the demo shows. */
interface LogLine {
  readonly severity: string;
  readonly message: string;
  readonly key?: string;
  readonly code?: string;
  readonly reason?: string;
}

function describe({ severity, message, key = "a request", code, reason = code }: LogLine): string {
  return `${severity} ${message}: ${key}${reason === undefined ? "" : ` (${reason})`}`;
}
