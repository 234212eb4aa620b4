import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import type { Image } from "./image.ts";

/** The order service in a process of its own. */
export interface Service {
  readonly url: string;
  /** Asks it to end as Knative does; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** Starts an image with these variables and waits until it says that it listens. */
export async function startService({ command, folder, environment }: Image, variables: Readonly<Record<string, string>>): Promise<Service> {
  const [program = "", ...parameters] = command;
  const child = spawn(program === "node" ? process.execPath : program, parameters, {
    cwd: folder,
    env: { PATH: process.env["PATH"], ...environment, ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const exited = once(child, "exit").then(([code]): number | null => code);
  const listening = once(createInterface(child.stdout), "line").then(([line]) => String(line).replace("listening on ", ""));
  const ended = exited.then((code) => Promise.reject(new Error(`the service ended with exit code ${code} before it listened`)));
  const url = await Promise.race([listening, ended]);
  return {
    url,
    stop: () => {
      child.kill("SIGTERM");
      return exited;
    },
  };
}
