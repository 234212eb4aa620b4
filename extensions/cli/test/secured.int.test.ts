import type { Connection } from "event-driver/streams";

import { kafkaConnection } from "@event-driver/kafka";
import { createMessage, TerminalError } from "event-driver";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { securedBroker } from "../../../test/secured-broker.ts";
import { suiteWith } from "../../../test/services.ts";
import { objectsIn, type Outcome, runProcess } from "./run-program.ts";

const suite = await suiteWith("kafka");

suite("a broker that asks for TLS and a user", { timeout: 240_000 }, () => {
  test("has its dead letters listed and requeued by an address that says who signs in, and no password is shown", async () => {
    const broker = await securedBroker("kafka");
    onTestFinished(() => broker.stop());
    const { host, user, password, certificates } = broker;
    const stream = `cli-${randomUUID()}`;
    const addressWith = (secret: string): string => `kafkas://${user}:${encodeURIComponent(secret)}@${host}`;
    const run = (command: string, address: string): Promise<Outcome> =>
      runProcess(["dead-letters", command, "--stream", `${stream}-failed`, "--json"], {
        EVENT_DRIVER_CONNECTION: address,
        NODE_EXTRA_CA_CERTS: join(certificates.folder, "authority.pem"),
      });
    await failOnce(await kafkaConnection({ url: addressWith(password), clientOptions: { tls: { ca: certificates.authority } } }), stream);

    const listed = await run("list", addressWith(password));
    const requeued = await run("requeue", addressWith(password));
    const refused = await run("list", addressWith("wrong-4711"));

    expect(listed).toMatchObject({ code: 0, stderr: "" });
    expect(objectsIn(listed)).toMatchObject([{ id: "1", key: "order-1" }]);
    expect(objectsIn(requeued)).toMatchObject([{ requeued: 1, failed: 0 }]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error: .*ERR_CONNECTION_FAILED.*\n$/);
    expect(refused.stderr).not.toContain("wrong-4711");
  });
});

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
