import { type ChildProcess, fork } from "node:child_process";

/** A program of its own that says something by itself, or when it is asked. */
export interface Child {
  /** Sends a text and resolves to the answer: text as it came, anything else as JSON. */
  ask(question: string): Promise<string>;
  /** What it says next, in the same form. */
  hear(): Promise<string>;
  end(): void;
}

/** Starts a program of this folder under the Node that runs this one; what it logs goes where ours does. */
export function startChild(program: URL, parameters: readonly string[] = []): Child {
  const child = fork(program, parameters, {
    execArgv: ["-C", "@event-driver/source", "--expose-gc", "--disable-warning=ExperimentalWarning"],
  });
  return {
    ask(question) {
      child.send(question);
      return nextText(child, program);
    },
    hear: () => nextText(child, program),
    end: () => void child.kill(),
  };
}

function nextText(child: ChildProcess, program: URL): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onExit = (code: number | null, signal: string | null): void =>
    reject(new Error(`${program.pathname} ended and said nothing: ${signal ?? `exit code ${code}`}`));
  child.once("message", (message) => {
    child.off("exit", onExit);
    child.off("error", reject);
    resolve(typeof message === "string" ? message : JSON.stringify(message));
  });
  child.once("exit", onExit);
  child.once("error", reject);
  return promise;
}
