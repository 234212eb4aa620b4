import { kafkaConnection, type KafkaClientOptions } from "@event-driver/kafka";
import { createMessage } from "event-driver";
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";

import { type Access, securedKit } from "../../../test/secured-kit.ts";
import { kafkaSuite } from "./kafka-suite.ts";
import { Sockets } from "./sockets.ts";

const suite = await kafkaSuite("kafka");

suite("Kafka with TLS and a user", () => {
  let sockets: Sockets | undefined;
  const broker = securedKit({
    broker: "kafka",
    open: (access) =>
      kafkaConnection({
        url: `kafka://${access.host}`,
        clientOptions: { ...securityOf(access, "SCRAM-SHA-512"), ...(sockets !== undefined && { context: sockets.context }) },
        connectTimeout: access.connectTimeout,
        logger: access.logger,
      }),
    wayTo: async (host) => {
      const way = new Sockets();
      sockets = way;
      return {
        host,
        cut: async () => way.cut(),
        mend: async () => way.mend(),
        async remove() {
          sockets = undefined;
          way.close();
        },
      };
    },
  });

  test("signs in by PLAIN, too", async () => {
    const { host, user, password, certificates } = broker();
    const clientOptions = securityOf({ user, password, authority: certificates.authority }, "PLAIN");
    const connection = await kafkaConnection({ url: host, clientOptions });
    onTestFinished(() => connection.close({ limit: 0 }));

    const id = await connection.publish(randomUUID(), createMessage({ id: "1", key: "order-1", source: "shop", content: "{}" }));

    expect(id).toBe("1");
  });

  test.each(["", "?mechanism=PLAIN"])("signs in by what its address says, with %j behind it", async (query) => {
    const { host, user, password, certificates } = broker();
    const url = `kafkas://${user}:${encodeURIComponent(password)}@${host}${query}`;
    const connection = await kafkaConnection({ url, clientOptions: { tls: { ca: certificates.authority } } });
    onTestFinished(() => connection.close({ limit: 0 }));

    const id = await connection.publish(randomUUID(), createMessage({ id: "1", key: "order-1", source: "shop", content: "{}" }));

    expect(id).toBe("1");
  });

  test.each(["PLAIN", "SCRAM-SHA-256"] as const)("is told at once that its credentials are wrong, by %s", async (mechanism) => {
    const { host, user, certificates } = broker();
    const clientOptions = securityOf({ user, password: "wrong", authority: certificates.authority }, mechanism);

    const connecting = kafkaConnection({ url: host, clientOptions, connectTimeout: 600_000 });

    await expect(connecting).rejects.toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false });
  });
});

function securityOf(
  { user: username, password, authority: ca }: Pick<Access, "user" | "password" | "authority">,
  mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512",
): KafkaClientOptions {
  return { tls: ca === undefined ? {} : { ca }, sasl: { mechanism, username, password } };
}
