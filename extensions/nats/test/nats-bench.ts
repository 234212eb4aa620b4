import type { Connection } from "event-driver/streams";
import type { ConnectionKitOptions } from "event-driver/testing";

import { connect, headers } from "@nats-io/transport-node";

import { encodeName } from "../src/names.ts";
import { natsConnection, natsFeatures } from "../src/index.ts";
import { services } from "../../../test/services.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";

/** What the conformance kit needs, each connection on a route of its own; `end` removes them all. */
export function natsBench(partitions: number = 1): {
  readonly options: Omit<ConnectionKitOptions, "test">;
  readonly end: () => Promise<void>;
} {
  const routes = new Map<Connection, ToxicProxy>();

  const open = async (): Promise<Connection> => {
    const route = await toxicProxy(services.nats.url);
    const connection = await natsConnection({ url: route.url, stream: { partitions } });
    routes.set(connection, route);
    return connection;
  };
  const routeOf = (connection: Connection): ToxicProxy => {
    const route = routes.get(connection);
    if (route === undefined) throw new Error("the connection was not opened here");
    return route;
  };
  return {
    end: async () => void (await Promise.all(Array.from(routes.values(), (route) => route.remove()))),
    options: {
      open,
      openAnother: open,
      features: partitions === 1 ? natsFeatures : { ...natsFeatures, keyOrder: "group", serial: false },
      crash: (connection) => routeOf(connection).cut(),
      async outage(connection) {
        await routeOf(connection).cut();
        return () => routeOf(connection).mend();
      },
      poison: (_connection, stream) =>
        publishRaw(`${encodeName(stream)}${partitions === 1 ? "" : ".0"}`, { "ce-specversion": "1.0", "ce-id": "poison" }),
      // The lifetime of a message is counted in whole seconds.
      ackWait: 1_000,
      delay: 100,
      patience: 20_000,
    },
  };
}

/** Publishes what no connection would. */
export async function publishRaw(subject: string, fields: Readonly<Record<string, string>>, body: string = "no event"): Promise<void> {
  const client = await connect({ servers: services.nats.url });
  const all = headers();
  for (const [name, value] of Object.entries(fields)) all.set(name, value);
  await client.request(subject, body, { timeout: 5_000, headers: all });
  await client.close();
}
