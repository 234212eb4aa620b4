import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const server = fileURLToPath(new URL("../../examples/01-orders/server.ts", import.meta.url));

/** The variables the service knows; one that is left out is absent for it, whatever the tests were started with. */
export type ServiceEnvironment = Readonly<
  Partial<Record<"PORT" | "HOST" | "STORE" | "SOURCE" | "STREAM" | "K_SINK" | "LOG_LEVEL", string>>
>;

const variables = ["PORT", "HOST", "STORE", "SOURCE", "STREAM", "K_SINK", "K_CE_OVERRIDES", "SWEEP_ON", "LOG_LEVEL"];

/** The example's order service in a process of its own, from its start to its end. */
export interface OrderService {
  /** Everything it has written so far. */
  readonly standardOutput: string;
  readonly standardError: string;
  /** Resolves to its exit code, or to the signal that ended it, when all that it wrote has been read. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Resolves to its address when it says that it listens; rejects when it ends before. */
  ready(): Promise<string>;
  signal(name: NodeJS.Signals): void;
}

export interface ServiceOptions {
  /**
   * What the command line begins with, for example a tracer that runs the rest of it in its own place.
   * @default nothing
   */
  readonly prefix?: readonly string[];
  /** @default the root of the repository */
  readonly folder?: string;
}

/** Starts the service as `npm run serve` does. It is gone with the test. */
export function startOrderService(environment: ServiceEnvironment, { prefix = [], folder = root }: ServiceOptions = {}): OrderService {
  const node = [process.execPath, "-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", server];
  const [command = "", ...parameters] = [...prefix, ...node];
  const absent = Object.fromEntries(variables.map((variable) => [variable, undefined]));
  const child = spawn(command, parameters, {
    cwd: folder,
    env: { ...process.env, ...absent, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const listening = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<number | NodeJS.Signals | null>();
  let standardOutput = "";
  let standardError = "";

  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    standardOutput += text;
    const [, url] = /^listening on (\S+)\n/m.exec(standardOutput) ?? [];
    if (url !== undefined) listening.resolve(url);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (standardError += text));
  child.on("error", ended.reject);
  child.on("close", (code, signal) => ended.resolve(code ?? signal));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended.promise;
  });

  return {
    get standardOutput() {
      return standardOutput;
    },
    get standardError() {
      return standardError;
    },
    ended: ended.promise,
    ready: () =>
      Promise.race([
        listening.promise,
        ended.promise.then((how) => Promise.reject(new Error(`it ended with ${how} before it listened: ${standardError}`))),
      ]),
    signal: (name) => void child.kill(name),
  };
}
