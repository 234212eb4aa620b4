import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const server = fileURLToPath(new URL("../server.ts", import.meta.url));

/** The order service in a process of its own. */
export interface Service {
  readonly url: string;
  readonly port: number;
  /** Ends it with SIGKILL: it can finish nothing. */
  kill(): Promise<void>;
  /** Asks it to drain with SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** Starts the service and waits until it is ready. */
export async function startService(environment: Readonly<Record<string, string>>): Promise<Service> {
  const child = spawn(process.execPath, [...process.execArgv, server], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await readyUrl(child);
  return {
    url,
    port: Number(new URL(url).port),
    kill: async () => void (await end(child, "SIGKILL")),
    stop: () => end(child, "SIGTERM"),
  };
}

async function readyUrl(child: ChildProcess): Promise<string> {
  const exited = once(child, "exit").then(([code]) =>
    Promise.reject(new Error(`the service ended with exit code ${code} before it was ready`)),
  );
  const ready = (async () => {
    let output = "";
    for await (const chunk of child.stdout ?? []) {
      output += chunk;
      const [, url] = /^listening on (\S+)\n/.exec(output) ?? [];
      if (url !== undefined) return url;
    }
    return exited;
  })();
  return Promise.race([ready, exited]);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  child.kill(signal);
  const [code] = await exited;
  return code;
}
