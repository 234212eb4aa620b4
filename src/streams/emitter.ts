import type { ConnectionEvents } from "./connection.ts";

import { type Logger } from "../context.ts";

export type Emit = <Name extends keyof ConnectionEvents>(event: Name, details: ConnectionEvents[Name]) => void;

type Listener<Name extends keyof ConnectionEvents> = (details: ConnectionEvents[Name]) => void;

/** Tells listeners what happens. One that throws is logged: it must not stop what it is told of. */
export class Emitter {
  readonly #listeners: { readonly [Name in keyof ConnectionEvents]: Set<Listener<Name>> } = {
    state: new Set(),
    lag: new Set(),
    rebalance: new Set(),
    failure: new Set(),
    lost: new Set(),
  };
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  on<Name extends keyof ConnectionEvents>(event: Name, listener: Listener<Name>): () => void {
    // One of its own for each call, so that the same function can listen twice and stop once.
    const own: Listener<Name> = (details) => listener(details);
    this.#listeners[event].add(own);
    return () => void this.#listeners[event].delete(own);
  }

  readonly emit: Emit = (event, details) => {
    for (const listener of this.#listeners[event]) {
      try {
        listener(details);
      } catch (error) {
        this.#logger.error({ event, err: error }, "a listener of a connection threw");
      }
    }
  };
}
