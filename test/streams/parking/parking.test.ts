import { env } from "node:process";
import { expect, test } from "vitest";

import type { EventStore } from "../../../src/stores/event-store.ts";

import { simulationSettings } from "../../simulation/settings.ts";
import { interceptedStore } from "../../claims/intercepted-store.ts";
import { type Mutant, simulate } from "./world.ts";

/** As many as `SIMULATION_SEEDS` says, or enough to find each mutant several times over. */
const { seed, seeds: asked } = simulationSettings({ SIMULATION_SEEDS: "100", ...env });
const seeds = seed === undefined ? Array.from({ length: asked }, (_, each) => each) : [seed];

test(
  "whoever dies meanwhile, no message of a parked key is lost or overtaken on its way over two streams",
  { timeout: 600_000 },
  async () => {
    const wrong: string[] = [];

    for (const each of seeds) wrong.push(...(await simulate(each)).map((what) => `seed ${each}: ${what}`));

    expect(wrong).toEqual([]);
  },
);

test.each<[string, Mutant]>([
  ["followers that run", { parking: () => ({ visit: async (visit) => settled(await visit.run(), visit.putAside) }) }],
  [
    "dead letters that are not published",
    { parking: (parkKey) => ({ visit: (visit) => parkKey.visit({ ...visit, putAside: async () => {} }) }) },
  ],
  ["queues that are overwritten without a compare-and-set", { store: blindly }],
  ["keys that stay parked", { store: neverFree }],
])("it would find %s", { timeout: 120_000 }, async (_name, mutant) => {
  let found: readonly string[] = [];

  for (const each of seeds) {
    found = await simulate(each, mutant);
    if (found.length > 0) break;
  }

  expect(found).not.toEqual([]);
});

async function settled(
  outcome: "done" | "again" | { readonly error: unknown },
  putAside: (error: unknown, ticket: string) => Promise<void>,
): Promise<"done" | "again" | "put aside"> {
  if (typeof outcome === "string") return outcome;
  await putAside(outcome.error, "none");
  return "put aside";
}

function blindly(store: EventStore): EventStore {
  return {
    ...interceptedStore(store, (_call, run) => run()),
    persist: (message, { expiresAt, signal } = {}) => store.persist(message, { ...(expiresAt !== undefined && { expiresAt }), signal }),
    scope: (name) => blindly(store.scope(name)),
  };
}

function neverFree(store: EventStore): EventStore {
  return {
    ...interceptedStore(store, (_call, run) => run()),
    persist: async (message, options) => (message.content === '{"waiting":[]}' ? "free" : store.persist(message, options)),
    scope: (name) => neverFree(store.scope(name)),
  };
}
