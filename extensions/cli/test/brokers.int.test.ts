import type { Connection } from "event-driver/streams";

import { kafkaConnection } from "@event-driver/kafka";
import { mqttConnection } from "@event-driver/mqtt";
import { natsConnection } from "@event-driver/nats";
import { pulsarConnection } from "@event-driver/pulsar";
import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { sqliteEventStore } from "@event-driver/sqlite";
import { createMessage, type Message, TerminalError } from "event-driver";
import { parkedKeys } from "event-driver/dead-letters";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { services, type ServiceName, suiteWith } from "../../../test/services.ts";
import { objectsIn, type Outcome, runProcess } from "./run-program.ts";

type Broker = Extract<ServiceName, "kafka" | "mqtt" | "nats" | "pulsar" | "rabbitmq">;

const open: Readonly<Record<Broker, (url: string) => Promise<Connection<unknown>>>> = {
  kafka: (url) => kafkaConnection({ url }),
  mqtt: (url) => mqttConnection({ url }),
  nats: (url) => natsConnection({ url }),
  pulsar: (url) => pulsarConnection({ url }),
  rabbitmq: (url) => rabbitmqConnection({ url }),
};

await deadLettersOf("kafka");
await deadLettersOf("mqtt");
await deadLettersOf("nats");
await deadLettersOf("pulsar");
await deadLettersOf("rabbitmq");

test("a broker that does not answer is a failure, told without the secrets of its address", async () => {
  const { code, stderr } = await runProcess(["dead-letters", "list", "--stream", "s", "--connection", "nats://me:secret@127.0.0.1:9"]);

  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .+\n$/);
  expect(stderr).not.toContain("secret");
});

async function deadLettersOf(broker: Broker): Promise<void> {
  const suite = await suiteWith(broker);
  suite(`dead letters at ${broker}`, { timeout: 180_000 }, () => {
    const stream = `cli-${randomUUID()}`;
    const failed = `${stream}-failed`;
    const folder = mkdtempSync(join(tmpdir(), "event-driver-cli-"));
    const file = join(folder, "parked.db");
    const store = sqliteEventStore({ file });
    const ran: string[] = [];
    let isMended = false;
    let connection: Connection<unknown>;
    const onStream = (...args: readonly string[]): Promise<Outcome> =>
      runProcess([
        "dead-letters",
        ...args,
        "--connection",
        services[broker].url,
        "--stream",
        failed,
        "--store",
        `sqlite:${file}`,
        "--json",
      ]);

    beforeAll(async () => {
      connection = await open[broker](services[broker].url);
      // So that the stream and its name exist before there is something in it, where a broker needs that.
      await onStream("list");
      const allFailed = failures(connection, 3);
      const handler = async (_ctx: unknown, { id }: Message): Promise<void> => {
        if (!isMended) throw new TerminalError("refused");
        ran.push(id);
      };
      await connection.subscribe(stream, handler, { deadLetter: { stream: failed, parkKey: parkedKeys({ store }) } });
      for (const id of ["a1", "a2", "b1"])
        await connection.publish(stream, createMessage({ id, key: id.slice(0, 1), source: "shop", content: "4711" }));
      await allFailed;
    }, 120_000);

    afterAll(async () => {
      await connection.close();
      await store.close();
      rmSync(folder, { recursive: true });
    });

    test("are listed, again and again", async () => {
      for (let times = 0; times < 2; times += 1) {
        const listed = objectsIn(await onStream("list")).map(({ id, code }) => `${String(id)} ${String(code)}`);
        expect(listed.toSorted()).toEqual(["a1 ERR_TERMINAL", "a2 ERR_KEY_PARKED", "b1 ERR_TERMINAL"]);
      }
    });

    test("are requeued key by key, run again in order, and are gone", async () => {
      isMended = true;

      expect(objectsIn(await onStream("requeue", "--key", "a"))).toMatchObject([{ requeued: 2, failed: 0 }]);

      await expect.poll(() => ran, { timeout: 60_000 }).toEqual(["a1", "a2"]);
      expect(objectsIn(await onStream("list"))).toMatchObject([{ id: "b1" }]);
    });

    test("are dropped", async () => {
      expect(await onStream("drop", "b1", "--yes")).toMatchObject({ code: 0 });

      expect(objectsIn(await onStream("list"))).toEqual([]);
    });
  });
}

/** Resolves when so many messages were put into the dead-letter stream. */
function failures(connection: Connection<unknown>, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  connection.on("failure", ({ next }) => {
    seen += next === "dead letter" ? 1 : 0;
    if (seen === count) resolve();
  });
  return promise;
}
