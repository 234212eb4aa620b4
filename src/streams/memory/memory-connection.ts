import type { Connection } from "../connection.ts";

import { type ConnectionOptions, createConnection } from "../create-connection.ts";
import { invalidOption } from "../../errors.ts";
import { type MemoryBroker, memoryBroker, MemoryStreams } from "./memory-broker.ts";
import { memoryTransport } from "./memory-transport.ts";

export interface MemoryConnectionOptions extends Omit<ConnectionOptions, "clock"> {
  /**
   * Shares its streams and positions with other connections. Its clock is that of the connection, too.
   * @default one of its own, by the system's clock
   */
  readonly broker?: MemoryBroker;
}

/**
 * A connection to streams in memory, with everything a broker does: groups, positions, redelivery, delays, ack waits, dead letters.
 *
 * Use it in tests and to try things out. Nothing outlives the process.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const connection = memoryConnection();
 * await connection.subscribe("orders", orders);
 * await connection.publish("orders", createMessage({ key: "order-1", source: "shop", content: "{}" }));
 */
export function memoryConnection({ broker = memoryBroker(), ...options }: MemoryConnectionOptions = {}): Connection {
  if (!(broker instanceof MemoryStreams)) throw invalidOption("memoryConnection", "broker", broker, "what memoryBroker() returns");
  return createConnection(memoryTransport(broker), { ...options, clock: broker.clock });
}
