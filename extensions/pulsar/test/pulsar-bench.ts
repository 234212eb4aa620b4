import type { Connection } from "event-driver/streams";

import { once } from "node:events";
import { pulsarConnection, type PulsarConnectionOptions, type PulsarNative } from "@event-driver/pulsar";
import { WebSocket } from "ws";

import { services } from "../../../test/services.ts";
import { pulsarName } from "../src/names.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";

/** Connections to the broker that all tests share, each over a way of its own that can be cut. */
export interface PulsarBench {
  open(options?: Partial<PulsarConnectionOptions>): Promise<Connection<PulsarNative>>;
  wayOf(connection: object): ToxicProxy;
  /** Closes what was opened, and removes the ways. */
  end(): Promise<void>;
}

export function pulsarBench(url: string = services.pulsar.url): PulsarBench {
  const ways = new Map<object, ToxicProxy>();
  return {
    async open(options = {}) {
      const way = await toxicProxy(url);
      const connection = await pulsarConnection({ url: way.url, heartbeat: 1_000, ...options });
      ways.set(connection, way);
      return connection;
    },
    wayOf(connection) {
      const way = ways.get(connection);
      if (way === undefined) throw new Error("the connection was opened elsewhere");
      return way;
    },
    async end() {
      for (const way of ways.values()) await way.remove();
      ways.clear();
    },
  };
}

/** Puts a record into a stream as a producer of any other kind would. */
export async function produce(stream: string, record: object): Promise<void> {
  const { host } = new URL(services.pulsar.url);
  const socket = new WebSocket(`ws://${host}/ws/v2/producer/persistent/public/default/${pulsarName(stream)}`);
  await once(socket, "open");
  socket.send(JSON.stringify(record));
  await once(socket, "message");
  socket.close();
  await once(socket, "close");
}
