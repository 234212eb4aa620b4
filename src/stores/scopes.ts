import type { EventStore } from "./event-store.ts";

import { EventDriverError, quote } from "../errors.ts";

// Kept beside the stores and not in them, so that any EventStore takes part. It holds no store alive.
const taken = new WeakMap<EventStore, Map<string, string>>();

/**
 * A scope of the store for one handler alone. Two that shared one would take each other's entries for their own.
 *
 * @throws EventDriverError `ERR_SCOPE_TAKEN`
 */
export function reserveScope(handler: string, store: EventStore, scope: string): EventStore {
  const scopes = taken.get(store) ?? new Map<string, string>();
  const owner = scopes.get(scope);
  if (owner !== undefined) {
    throw new EventDriverError("ERR_SCOPE_TAKEN", {
      message: `${handler}: scope ${quote(scope)} of this store already belongs to ${owner === handler ? "another" : "the"} ${owner}; give one of them a scope of its own`,
      retryable: false,
    });
  }
  taken.set(store, scopes.set(scope, handler));
  return store.scope(scope);
}
