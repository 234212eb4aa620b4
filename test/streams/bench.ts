import type { Connection, MemoryBroker, Transport } from "../../src/streams/index.ts";

import { createMessage, type Message } from "../../src/message.ts";
import { type ConnectionOptions, createConnection, memoryBroker } from "../../src/streams/index.ts";
import { MemoryStreams } from "../../src/streams/memory/memory-broker.ts";
import { memoryTransport } from "../../src/streams/memory/memory-transport.ts";
import { type VirtualClock, virtualClock } from "../../src/testing/virtual-clock.ts";

export interface StreamsBench {
  readonly clock: VirtualClock;
  readonly broker: MemoryBroker;
  readonly connection: Connection;
  /** A further connection to the same broker, whose transport may differ from a good one. */
  readonly connect: (options?: ConnectionOptions, alter?: (transport: Transport) => Transport) => Connection;
  /** What a broker sees of a process that dies: the connection is gone, nothing was said. */
  readonly kill: (connection: Connection) => Promise<void>;
  /** Lets everything run that does not wait for time. */
  readonly settle: () => Promise<void>;
}

/** A broker in memory whose time stands still. */
export function streamsBench(options: ConnectionOptions = {}): StreamsBench {
  const clock = virtualClock({ now: Date.parse("2026-01-01T00:00:00Z") });
  const broker = memoryBroker({ clock });
  if (!(broker instanceof MemoryStreams)) throw new Error("memoryBroker() has changed");
  const kills = new Map<Connection, () => Promise<void>>();
  const connect: StreamsBench["connect"] = (given = {}, alter = (transport) => transport) => {
    const transport = memoryTransport(broker);
    const connection = createConnection(alter(transport), { ...given, clock });
    kills.set(connection, () => transport.close());
    return connection;
  };
  return {
    clock,
    broker,
    connection: connect(options),
    connect,
    kill: async (connection) => kills.get(connection)?.(),
    settle: () => clock.advance(0),
  };
}

export function order(id: string, key: string = "order-1", content: string = id): Message {
  return createMessage({ id, key, source: "shop", content });
}

/** A promise that is settled from outside. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
