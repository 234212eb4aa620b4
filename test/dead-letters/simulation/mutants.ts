import type { EventStore } from "../../../src/stores/event-store.ts";
import type { Mutant } from "./world.ts";

import { identityOf } from "../../../src/message.ts";
import { parkingTicket } from "../../../src/pipeline/key-parking.ts";

/** Faults of the kind that somebody could write into parked keys or a redrive, by name. */
export const mutants: ReadonlyMap<string, Mutant> = new Map<string, Mutant>([
  ["queues that are overwritten without a compare-and-set", { store: inScope("parked-keys", blindly) }],
  [
    "dead letters that are not kept",
    { parking: (parkKey) => ({ ...parkKey, visit: (visit) => parkKey.visit({ ...visit, putAside: async () => {} }) }) },
  ],
  [
    "dead letters that are kept after their place is written",
    {
      parking: (parkKey) => ({
        ...parkKey,
        async visit(visit) {
          let kept = async (): Promise<void> => {};
          const outcome = await parkKey.visit({
            ...visit,
            putAside: async (error, ticket) => void (kept = () => visit.putAside(error, ticket)),
          });
          await kept();
          return outcome;
        },
      }),
    },
  ],
  ["places that are taken back", { store: inScope("parked-keys", forgetful) }],
  [
    "messages that are run though something waits",
    {
      parking: (parkKey) => ({
        ...parkKey,
        async visit(visit) {
          const outcome = await visit.run();
          return typeof outcome === "string" ? outcome : parkKey.visit({ ...visit, run: async () => outcome });
        },
      }),
    },
  ],
  ["left-over dead letters that are removed too early", { parking: (parkKey) => ({ ...parkKey, isPending: async () => false }) }],
  ["redrives that do not know of each other", { store: inScope("redrives", unlocked) }],
  [
    "messages that leave the queue in any order",
    { parking: (parkKey) => ({ ...parkKey, get: async (key) => reversed(await parkKey.get(key)) }) },
  ],
  ["keys that stay parked", { store: inScope("parked-keys", neverFree) }],
  [
    "copies that are taken for done while their place may be about to be written",
    {
      parking: (parkKey) => ({
        ...parkKey,
        async visit(visit) {
          const { key } = visit.message;
          const waiting = (await parkKey.get(key))?.waiting ?? [];
          const isBack = parkingTicket.get(visit.ctx) !== undefined;
          return isBack && !waiting.includes(identityOf(visit.message)) ? "duplicate" : parkKey.visit(visit);
        },
        isPending: async ({ key, ...message }) => (await parkKey.get(key))?.waiting.includes(identityOf(message)) ?? false,
      }),
    },
  ],
]);

type Wrap = (store: EventStore) => EventStore;

/** Wraps one scope of a store, however deep it is. */
function inScope(name: string, wrap: Wrap): Wrap {
  const wrapped: Wrap = (store) => ({
    ...callsOf(store),
    scope: (given) => (given === name ? wrap(store.scope(given)) : wrapped(store.scope(given))),
  });
  return wrapped;
}

function blindly(store: EventStore): EventStore {
  return {
    ...callsOf(store),
    persist: (message, { expiresAt, signal } = {}) => store.persist(message, { ...(expiresAt !== undefined && { expiresAt }), signal }),
  };
}

/** Writes of a third place and later are answered, and not done. */
function forgetful(store: EventStore): EventStore {
  return {
    ...callsOf(store),
    persist: async (message, options) =>
      String(message.content).split('\\"').length > 8 ? (options?.expected ?? "none") : store.persist(message, options),
  };
}

function neverFree(store: EventStore): EventStore {
  return {
    ...callsOf(store),
    persist: async (message, options) => (message.content === '{"waiting":[]}' ? "free" : store.persist(message, options)),
  };
}

function unlocked(store: EventStore): EventStore {
  return {
    ...callsOf(store),
    lookUp: async () => undefined,
    persist: async () => "unlocked",
  };
}

function reversed<Queue extends { readonly waiting: readonly string[] } | undefined>(queue: Queue): Queue {
  return queue && { ...queue, waiting: queue.waiting.toReversed() };
}

function callsOf(store: EventStore): EventStore {
  return {
    features: store.features,
    persist: (message, options) => store.persist(message, options),
    lookUp: (key, source, options) => store.lookUp(key, source, options),
    lookUpByKey: (key, options) => store.lookUpByKey(key, options),
    listSourcesByKey: (key, options) => store.listSourcesByKey(key, options),
    remove: (key, source, options) => store.remove(key, source, options),
    listDue: (options) => store.listDue(options),
    listKeys: (options) => store.listKeys(options),
    scope: (name) => store.scope(name),
    close: () => store.close(),
  };
}
