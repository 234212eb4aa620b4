import type { Connection } from "event-driver/streams";
import type { ConnectionKitOptions } from "event-driver/testing";

import { connect, headers } from "@nats-io/transport-node";
import { randomUUID } from "node:crypto";

import { encodeName } from "../src/names.ts";
import { natsConnection, natsFeatures } from "../src/index.ts";
import { services } from "../../../test/services.ts";

/** A way to the broker that a test can cut: everything goes through a proxy of its own. */
export interface Route {
  readonly url: string;
  /** Closes it and refuses. */
  cut(): Promise<void>;
  /** Lets nothing through any more, without a word. */
  silence(): Promise<void>;
  mend(): Promise<void>;
  remove(): Promise<void>;
}

/** What the conformance kit needs, each connection on a route of its own; `end` removes them all. */
export function natsBench(): { readonly options: Omit<ConnectionKitOptions, "test">; readonly end: () => Promise<void> } {
  const routes = new Map<Connection, Route>();

  const open = async (): Promise<Connection> => {
    const route = await openRoute();
    const connection = await natsConnection({ url: route.url });
    routes.set(connection, route);
    return connection;
  };
  const routeOf = (connection: Connection): Route => {
    const route = routes.get(connection);
    if (route === undefined) throw new Error("the connection was not opened here");
    return route;
  };
  return {
    end: async () => void (await Promise.all(Array.from(routes.values(), (route) => route.remove()))),
    options: {
      open,
      openAnother: open,
      features: natsFeatures,
      crash: (connection) => routeOf(connection).cut(),
      async outage(connection) {
        await routeOf(connection).cut();
        return () => routeOf(connection).mend();
      },
      poison: (_connection, stream) => publishRaw(encodeName(stream), { "ce-specversion": "1.0", "ce-id": "poison" }),
      // The lifetime of a message is counted in whole seconds.
      ackWait: 1_000,
      delay: 100,
      patience: 20_000,
    },
  };
}

/** A proxy of its own in front of the broker that all tests share. */
export async function openRoute(upstream: string = services.nats.url): Promise<Route> {
  const { hostname, port } = new URL(upstream);
  const name = `nats-${randomUUID()}`;
  const to = `${hostname}:${port}`;
  const listen = await proxy("POST", "", { name, listen: "127.0.0.1:0", upstream: to, enabled: true });
  const enable = (enabled: boolean): Promise<string> => proxy("POST", `/${name}`, { listen, upstream: to, enabled });
  return {
    url: `nats://${listen}`,
    cut: async () => void (await enable(false)),
    async silence() {
      for (const stream of ["upstream", "downstream"])
        await proxy("POST", `/${name}/toxics`, { name: stream, type: "timeout", stream, attributes: { timeout: 0 } });
    },
    async mend() {
      for (const stream of ["upstream", "downstream"])
        await proxy("DELETE", `/${name}/toxics/${stream}`).catch(() => "no toxic of that name");
      await enable(true);
    },
    remove: async () => void (await proxy("DELETE", `/${name}`)),
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

/** Asks toxiproxy, and gives where the proxy listens. */
async function proxy(method: string, path: string, body?: object): Promise<string> {
  const response = await fetch(`${services.toxiproxy.url}/proxies${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`toxiproxy: ${method} ${path} gives ${response.status}: ${text}`);
  return /"listen":"([^"]+)"/.exec(text)?.[1] ?? "";
}
