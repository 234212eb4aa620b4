import type { Connection, Transport } from "../../src/streams/index.ts";
import type { ConnectionKitOptions } from "../../src/testing/connection-kit.ts";

import { EventDriverError } from "../../src/errors.ts";
import { createMessage } from "../../src/message.ts";
import { createConnection, memoryBroker } from "../../src/streams/index.ts";
import { MemoryStreams } from "../../src/streams/memory/memory-broker.ts";
import { memoryTransport } from "../../src/streams/memory/memory-transport.ts";
import { breakable, type BreakableTransport } from "./breakable-transport.ts";

/** How the connections differ from good ones. */
export interface Alterations {
  readonly alter?: ((transport: Transport) => Transport) | undefined;
  readonly alterConnection?: ((connection: Connection) => Connection) | undefined;
}

/** What the conformance kit needs, over brokers in memory: a fresh one for each connection that is opened first. */
export function memoryHandles({ alter = same, alterConnection = same }: Alterations = {}): {
  readonly options: Omit<ConnectionKitOptions, "test">;
} {
  const handles = new Map<Connection, { readonly transport: BreakableTransport; readonly broker: MemoryStreams }>();

  const connect = (broker: MemoryStreams): Connection => {
    const transport = breakable(memoryTransport(broker));
    const connection = alterConnection(createConnection(alter(withPoison(transport)), { clock: broker.clock }));
    handles.set(connection, { transport, broker });
    return connection;
  };
  const open = (): Connection => {
    const broker = memoryBroker();
    if (!(broker instanceof MemoryStreams)) throw new Error("memoryBroker() has changed");
    return connect(broker);
  };
  return {
    options: {
      open,
      openAnother: (first) => connect(handles.get(first)?.broker ?? new MemoryStreams({})),
      crash: (connection) => handles.get(connection)?.transport.close(),
      outage: (connection) => handles.get(connection)?.transport.break() ?? (() => {}),
      poison: (connection, stream) => connection.publish(stream, createMessage({ ...poison, key: "" })),
      features: memoryTransport(new MemoryStreams({})).features,
    },
  };
}

function same<Thing>(thing: Thing): Thing {
  return thing;
}

const poison = { id: "poison", source: "kit", content: new Uint8Array([0xff]) };

/** Memory has no wire on which a record could be malformed, so one message stands for it. */
function withPoison(transport: Transport): Transport {
  const failure = new EventDriverError("ERR_INVALID_EVENT", { message: "the record is no message", retryable: false });
  return {
    ...transport,
    subscribe: (request, sink) =>
      transport.subscribe(request, {
        lost: (error) => sink.lost(error),
        deliver: (inbound) =>
          sink.deliver(
            inbound.message.id === poison.id && inbound.message.attributes["dlreason"] === undefined ? { ...inbound, failure } : inbound,
          ),
      }),
  };
}
