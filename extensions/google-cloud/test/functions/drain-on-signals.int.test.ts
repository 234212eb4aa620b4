import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";

import { drainOnSignals } from "@event-driver/google-cloud/functions";
import { header, post } from "./framework.ts";

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

describe.each(["http", "cloudevent"])("on SIGTERM, with the signature %s,", (target) => {
  test("requests in flight are finished, new ones are refused, and the framework exits as it always does", async () => {
    const instance = await start("framework-main.ts", { target, drainLimit: 60_000 });
    const answers = ["a", "b"].map((id) => post(instance.url, header({ "ce-id": id }), "{}"));
    await instance.said("begun a");
    await instance.said("begun b");

    instance.child.kill("SIGTERM");
    await refusal(instance.url);
    instance.child.stdin?.write("finish\n");

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([204, 204]);
    await instance.said("drained");
    expect(await instance.exit).toEqual([0, null]);
  });

  test("without it the framework answers the newest request with 500, and the other not at all", async () => {
    const instance = await start("framework-main.ts", { target });
    const older = statusOf(post(instance.url, header({ "ce-id": "a" }), "{}"));
    await instance.said("begun a");
    const newer = post(instance.url, header({ "ce-id": "b" }), "{}");
    await instance.said("begun b");

    instance.child.kill("SIGTERM");

    expect((await newer).status).toBe(500);
    expect(await older).toBe("cut off");
    expect(await instance.exit).toEqual([0, null]);
  });
});

test("a request that outlasts the limit is given up, so that the process ends in time", async () => {
  const instance = await start("framework-main.ts", { target: "http", drainLimit: 1 });
  const answer = statusOf(post(instance.url, header(), "{}"));
  await instance.said("begun e-1");

  instance.child.kill("SIGTERM");

  expect(await instance.exit).toEqual([0, null]);
  expect(await answer).not.toBe(204);
});

test("a second signal is handed on at once", async () => {
  const instance = await start("framework-main.ts", { target: "http", drainLimit: 60_000 });
  const answer = statusOf(post(instance.url, header(), "{}"));
  await instance.said("begun e-1");
  instance.child.kill("SIGTERM");
  await refusal(instance.url);

  instance.child.kill("SIGTERM");

  expect(await instance.exit).toEqual([0, null]);
  expect(await answer).not.toBe(204);
});

test("a process that nobody else would end, ends by itself", async () => {
  const instance = await start("own-server.ts", { target: "http", drainLimit: 60_000 });
  const answer = post(instance.url, header(), "{}");
  await instance.said("begun e-1");

  instance.child.kill("SIGTERM");
  await refusal(instance.url);
  instance.child.stdin?.write("finish\n");

  expect((await answer).status).toBe(204);
  expect(await instance.exit).toEqual([0, null]);
});

test.each([-1, Number.NaN])("a limit of %j is refused", (limit) => {
  expect(() => drainOnSignals({ limit })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

interface Instance {
  readonly child: ChildProcess;
  readonly url: string;
  /** Resolves when it has said that line; rejects when it ends before. */
  said(line: string): Promise<void>;
  /** Its exit code and the signal that ended it. */
  readonly exit: Promise<readonly unknown[]>;
}

async function start(script: string, { target, drainLimit }: { readonly target: string; readonly drainLimit?: number }): Promise<Instance> {
  const folder = fileURLToPath(new URL("./children/", import.meta.url));
  const conditions = ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...conditions, `${folder}${script}`, `--target=${target}`, `--source=${folder}functions.ts`], {
    env: { ...process.env, ...(drainLimit !== undefined && { DRAIN_LIMIT: String(drainLimit) }) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  const exit = once(child, "exit");
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
    said: async (line) => void (await find(new RegExp(`^${line}$`, "m"))),
  };
}

function statusOf(answer: Promise<Response>): Promise<number | "cut off"> {
  return answer.then(
    ({ status }) => status,
    () => "cut off",
  );
}

/** Resolves when new connections are refused. */
async function refusal(url: string): Promise<void> {
  for (;;) {
    const accepted = await fetch(url, { method: "OPTIONS", headers: { connection: "close" } }).then(
      () => true,
      () => false,
    );
    if (!accepted) return;
  }
}
