import type { Connection } from "event-driver/streams";

import { natsConnection } from "@event-driver/nats";
import { createMessage, TerminalError } from "event-driver";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { objectsIn, runProcess } from "./run-program.ts";

const suite = await suiteWith("nats");

suite("dead letters of a stream of NATS", () => {
  const stream = `cli-${randomUUID()}`;
  const failed = `${stream}-failed`;
  const ran: string[] = [];
  let isMended = false;
  let connection: Connection;
  const onStream = (...args: readonly string[]) =>
    runProcess(["dead-letters", ...args, "--connection", services.nats.url, "--stream", failed, "--json"]);

  beforeAll(async () => {
    connection = await natsConnection({ url: services.nats.url });
    const bothFailed = failures(connection, 2);
    const handler = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => {
      if (!isMended) throw new TerminalError("refused");
      ran.push(id);
    };
    await connection.subscribe(stream, handler, { deadLetter: failed });
    for (const number of [1, 2])
      await connection.publish(stream, createMessage({ id: `o-${number}`, key: `k-${number}`, source: "shop", content: "4711" }));
    await bothFailed;
  });

  afterAll(() => connection.close());

  test("are listed, again and again", async () => {
    for (let times = 0; times < 2; times += 1)
      expect(objectsIn(await onStream("list"))).toMatchObject([{ id: "o-1", code: "ERR_TERMINAL" }, { id: "o-2" }]);
  });

  test("are requeued one by one, run again, and are gone", async () => {
    isMended = true;

    expect(objectsIn(await onStream("requeue", "--key", "k-2"))).toMatchObject([{ requeued: 1, failed: 0 }]);

    await expect.poll(() => ran, { timeout: 30_000 }).toEqual(["o-2"]);
    expect(objectsIn(await onStream("list"))).toMatchObject([{ id: "o-1" }]);
  });

  test("are dropped", async () => {
    expect(await onStream("drop", "o-1", "--yes")).toMatchObject({ code: 0 });

    expect(objectsIn(await onStream("list"))).toEqual([]);
  });
});

test("a broker that does not answer is a failure, told without the secrets of its address", async () => {
  const { code, stderr } = await runProcess(["dead-letters", "list", "--stream", "s", "--connection", "nats://me:secret@127.0.0.1:9"]);

  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .+\n$/);
  expect(stderr).not.toContain("secret");
});

/** Resolves when so many messages were put into the dead-letter stream. */
function failures(connection: Connection, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  connection.on("failure", ({ next }) => {
    seen += next === "dead letter" ? 1 : 0;
    if (seen === count) resolve();
  });
  return promise;
}
