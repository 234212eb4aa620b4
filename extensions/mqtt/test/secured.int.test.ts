import { mqttConnection } from "@event-driver/mqtt";
import { expect, onTestFinished, test } from "vitest";

import { securedKit } from "../../../test/secured-kit.ts";
import { suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("mqtt", "toxiproxy");

suite("MQTT with TLS and a user", () => {
  const broker = securedKit({
    broker: "mqtt",
    open: ({ host, user, password, authority: ca, connectTimeout, logger }) =>
      mqttConnection({
        url: `mqtts://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}`,
        clientOptions: ca === undefined ? {} : { ca },
        connectTimeout,
        logger,
      }),
    wayTo: (host) => toxicProxy(`mqtts://${host}`),
  });

  test("looks for the name of each server of a list in the certificate of that one", async () => {
    const { host, user: username, password, certificates } = broker();
    const connection = await mqttConnection({
      url: ["mqtts://localhost:9", `mqtts://${host}`],
      clientOptions: { username, password, ca: certificates.authority },
    });
    onTestFinished(() => connection.close({ limit: 0 }));

    expect(connection.status().state).toBe("connected");
  });
});
