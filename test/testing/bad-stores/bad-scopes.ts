import type { EventStore } from "../../../src/stores/event-store.ts";

import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { type BadStore, withFlaw } from "./bad-store.ts";

const ownStore = "scope(name) is a store of its own: no call on one sees or touches the other";

/** Stores whose scopes meet. */
export const badScopes: readonly BadStore[] = [
  {
    flaw: "scope leak: a scope is the store itself",
    caughtBy: [ownStore, "what is expected in a scope is decided by that scope alone"],
    open: () => withFlaw((inner) => ({ scope: () => inner })),
  },
  {
    flaw: "scope leak: what is due is listed for all scopes",
    caughtBy: [ownStore, "scopes nest, and none is another one, whatever separators their names hold"],
    open: () =>
      withFlaw((inner) => ({ scope: (name) => withFlaw(() => ({ listDue: (options) => inner.listDue(options) }), inner.scope(name)) })),
  },
  {
    flaw: "scope leak: names are compared without case",
    caughtBy: ["scope(name) is a store of its own, whatever the name"],
    open: () => withFlaw((inner) => ({ scope: (name) => inner.scope(name.toLowerCase()) })),
  },
  {
    flaw: "scope leak: the names of nested scopes are joined",
    caughtBy: ["scopes nest, and none is another one, whatever separators their names hold"],
    open: () => joiningScopes(memoryEventStore(), ""),
  },
  {
    flaw: "scope leak: its name is put in front of the key",
    caughtBy: ["no name of a scope can run into a key"],
    open: () => prefixing(memoryEventStore(), ""),
  },
  {
    flaw: "a scope is empty each time it is asked for",
    caughtBy: ["the same name gives the same entries"],
    open: () => withFlaw(() => ({ scope: () => memoryEventStore() })),
  },
  {
    flaw: "a scope promises less than its store",
    caughtBy: ["a scope has the features of the store it came from"],
    open: () =>
      withFlaw((inner) => ({ scope: (name) => withFlaw(() => ({ features: { compareAndSet: false, clock: false } }), inner.scope(name)) })),
  },
  {
    flaw: "revisions are counted in each scope",
    caughtBy: ["what is expected in a scope is decided by that scope alone"],
    open: () => {
      const scopes = new Map<string, EventStore>();
      return withFlaw(() => ({
        scope: (name) => scopes.get(name) ?? scopes.set(name, memoryEventStore()).get(name) ?? memoryEventStore(),
      }));
    },
  },
];

function joiningScopes(root: EventStore, path: string): EventStore {
  const own = path === "" ? root : root.scope(path);
  return withFlaw(() => ({ scope: (name) => joiningScopes(root, `${path}/${name}`) }), own);
}

function prefixing(root: EventStore, prefix: string): EventStore {
  return withFlaw(
    () => ({
      persist: (message, options) => root.persist({ ...message, key: prefix + message.key }, options),
      scope: (name) => prefixing(root, prefix + name),
    }),
    root,
  );
}
