import { kafkaConnection } from "@event-driver/kafka";
import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { createMessage, TerminalError } from "event-driver";
import type { Connection } from "event-driver/streams";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { type SecuredBroker, securedBroker } from "../../../test/secured-broker.ts";
import { suiteWith } from "../../../test/services.ts";
import { objectsIn, runProcess } from "./run-program.ts";

type Open = (url: string, ca: string) => Promise<Connection<unknown>>;

await deadLettersOver("kafka", "kafkas", (url, ca) => kafkaConnection({ url, clientOptions: { tls: { ca } } }));
await deadLettersOver("rabbitmq", "amqps", (url, ca) => rabbitmqConnection({ url, clientOptions: { tls: { ca } } }));

async function deadLettersOver(name: "kafka" | "rabbitmq", scheme: string, open: Open): Promise<void> {
  const suite = await suiteWith(name);
  suite(`dead letters at a ${name} that asks for TLS and a user`, { timeout: 240_000 }, () => {
    test("are listed and requeued by an address that says who signs in, and no password is shown", async () => {
      const broker = await securedBroker(name);
      onTestFinished(() => broker.stop());
      const stream = `cli-${randomUUID()}`;
      const run = (url: string, ...command: readonly string[]) =>
        runProcess(["dead-letters", ...command, "--stream", `${stream}-failed`, "--json"], {
          EVENT_DRIVER_CONNECTION: url,
          NODE_EXTRA_CA_CERTS: join(broker.certificates.folder, "authority.pem"),
        });
      const [right, wrong] = [addressOf(scheme, broker, broker.password), addressOf(scheme, broker, "wrong-4711")];
      // So that the name exists before there is something in the stream, where a broker needs that.
      await run(right, "list");
      await failOnce(await open(right, broker.certificates.authority), stream);

      const listed = await run(right, "list");
      const requeued = await run(right, "requeue");
      const refused = await run(wrong, "list");

      expect(listed).toMatchObject({ code: 0, stderr: "" });
      expect(objectsIn(listed)).toMatchObject([{ id: "1", key: "order-1" }]);
      expect(objectsIn(requeued)).toMatchObject([{ requeued: 1, failed: 0 }]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^error: .*ERR_CONNECTION_FAILED.*\n$/);
      expect(refused.stderr).not.toContain("wrong-4711");
    });
  });
}

function addressOf(scheme: string, { host, user }: SecuredBroker, password: string): string {
  return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}`;
}

/** Leaves one dead letter, and closes the connection. */
async function failOnce(connection: Connection<unknown>, stream: string): Promise<void> {
  onTestFinished(() => connection.close({ limit: 0 }));
  const { promise: hasFailed, resolve } = Promise.withResolvers<void>();
  connection.on("failure", () => resolve());
  await connection.subscribe(stream, () => Promise.reject(new TerminalError("refused")), { deadLetter: `${stream}-failed` });
  await connection.publish(stream, createMessage({ id: "1", key: "order-1", source: "shop", content: "{}" }));
  await hasFailed;
  await connection.close();
}
