import { describe, expect, test } from "vitest";

import { drainOnSignals } from "@event-driver/google-cloud/functions";
import { header, post } from "./framework.ts";
import { start } from "./instance.ts";

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

test.each(["close", "keep-alive"])("under load every request that was begun is answered, over connections to %s", async (connection) => {
  const instance = await start("framework-main.ts", { target: "http", drainLimit: 60_000 });
  instance.child.stdin?.write("finish\n");
  const statuses: (number | "cut off")[] = [];
  let ended = false;
  void instance.exit.then(() => (ended = true));
  const send = async (sender: number): Promise<void> => {
    for (let index = 0; !ended; index += 1) {
      statuses.push(await statusOf(post(instance.url, header({ "ce-id": `${sender}-${index}`, connection }), "{}")));
      if (statuses.length === 200) instance.child.kill("SIGTERM");
    }
  };

  await Promise.all(Array.from({ length: 20 }, (_, sender) => send(sender)));

  expect(await instance.exit).toEqual([0, null]);
  expect(new Set(statuses)).toEqual(new Set([204, "cut off"]));
  expect(statuses.filter((status) => status === 204)).toHaveLength(instance.count(/^begun /gm));
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
