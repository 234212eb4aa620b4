import type { Connection } from "@platformatic/kafka";
import type { Socket } from "node:net";

import { subscribe, unsubscribe } from "node:diagnostics_channel";

/**
 * The sockets of all clients that were given the same `context`, to take the brokers away from them alone.
 *
 * A proxy cannot do it: the brokers tell a client where they are, and it goes there by itself.
 */
export class Sockets {
  readonly context: object = {};
  readonly #connections = new Set<Connection>();
  #isCut = false;

  constructor() {
    subscribe(channel, this.#onConnect);
  }

  /** Nothing comes through any more, in either direction, and nobody says goodbye. */
  cut(): void {
    this.#isCut = true;
    for (const connection of this.#connections) connection.socket.destroy();
    this.#connections.clear();
  }

  mend(): void {
    this.#isCut = false;
  }

  close(): void {
    unsubscribe(channel, this.#onConnect);
  }

  readonly #onConnect = (event: unknown): void => {
    const connection = connectionOf(event);
    if (connection?.context !== this.context) return;
    this.#connections.add(connection);
    // The socket is made after this was told.
    connection.once("connecting", () => queueMicrotask(() => this.#isCut && refuse(connection.socket)));
  };
}

const channel = "tracing:plt:kafka:connections:connects:start";

function connectionOf(event: unknown): Connection | undefined {
  if (typeof event !== "object" || event === null || !("connection" in event)) return undefined;
  return isConnection(event.connection) ? event.connection : undefined;
}

function isConnection(value: unknown): value is Connection {
  return typeof value === "object" && value !== null && "context" in value && "socket" in value;
}

function refuse(socket: Socket): void {
  socket.destroy(Object.assign(new Error("the test has cut the network"), { code: "ECONNREFUSED" }));
}
