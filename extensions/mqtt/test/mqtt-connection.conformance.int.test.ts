import { mqttConnection, mqttFeatures } from "@event-driver/mqtt";
import type { Connection } from "event-driver/streams";
import { connectionKit } from "event-driver/testing";
import { connectAsync } from "mqtt";
import { afterEach, expect, test } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { topicOf } from "../src/names.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("mqtt", "toxiproxy");

for (const qos of [1, 2] as const) {
  suite(`a connection that publishes and subscribes with quality ${qos}`, () => {
    const networks = new Map<Connection<never>, ToxicProxy>();
    const skipped: string[] = [];

    const open = async (): Promise<Connection> => {
      const network = await toxicProxy(services.mqtt.url);
      const connection = await mqttConnection({ url: network.url, qos, takeOverAfter: 200, sessionExpiry: 60_000 });
      networks.set(connection, network);
      return connection;
    };

    afterEach(async () => {
      for (const network of networks.values()) await network.remove();
      networks.clear();
    });

    connectionKit({
      test,
      open,
      openAnother: open,
      features: mqttFeatures,
      crash: (connection) => networks.get(connection)?.remove(),
      async outage(connection) {
        await networks.get(connection)?.cut();
        return () => networks.get(connection)?.mend();
      },
      async poison(_connection, stream) {
        const client = await connectAsync(services.mqtt.url, { protocolVersion: 5 });
        await client.publishAsync(topicOf(stream), "no message", { qos: 1, properties: { userProperties: { specversion: "1.0" } } });
        await client.endAsync();
      },
      patience: 20_000,
      // The queue is the same one, and is filled at half the speed.
      queued: qos === 1 ? 100_000 : 30_000,
      skip: (title, reason) => skipped.push(`${title}: ${reason}`),
    });

    test("only what MQTT cannot do is skipped", () => {
      expect(skipped.filter((each) => !each.includes("features."))).toEqual([]);
    });
  });
}
