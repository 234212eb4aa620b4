import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

export interface StartOptions {
  readonly target: string;
  /** Milliseconds; without it the process does not drain. */
  readonly drainLimit?: number;
  /** What the deployment says of the function. */
  readonly signatureType?: "http" | "cloudevent";
}

/** A process that serves one function. */
export interface Instance {
  readonly child: ChildProcess;
  readonly url: string;
  /** Resolves when it has said that line; rejects when it ends before. */
  said(line: string): Promise<void>;
  /** How many places of what it has said match. */
  count(pattern: RegExp): number;
  /** Its exit code and the signal that ended it. */
  readonly exit: Promise<readonly unknown[]>;
}

/** Starts one of the programs in children/, and waits until it listens. It is killed after the test. */
export async function start(script: string, { target, drainLimit, signatureType }: StartOptions): Promise<Instance> {
  const folder = fileURLToPath(new URL("./children/", import.meta.url));
  const signature = signatureType === undefined ? [] : [`--signature-type=${signatureType}`];
  const conditions = ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning"];
  const child = spawn(
    process.execPath,
    [...conditions, `${folder}${script}`, `--target=${target}`, `--source=${folder}functions.ts`, ...signature],
    {
      env: { ...process.env, ...(drainLimit !== undefined && { DRAIN_LIMIT: String(drainLimit) }) },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  children.push(child);
  const exit = once(child, "close");
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));

  const find = async (line: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = line.exec(output);
      if (found !== null) return found;
      const ended = await Promise.race([once(child.stdout ?? child, "data").then(() => false), exit.then(() => true)]);
      if (ended && line.exec(output) === null) throw new Error(`the process ended and never said ${line.source}: ${output}`);
    }
  };
  const [, port] = await find(/^port (\d+)$/m);
  return {
    child,
    url: `http://127.0.0.1:${port}/`,
    exit,
    count: (pattern) => output.match(pattern)?.length ?? 0,
    said: async (line) => void (await find(new RegExp(`^${line}$`, "m"))),
  };
}
