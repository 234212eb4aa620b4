import type { CallSite } from "./call-sites.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";

import { cells } from "./coverage.ts";
import { seededRandom } from "./random.ts";

const usual: Scenario = {
  family: "orders",
  workers: 2,
  orders: 2,
  joiner: "once",
  condition: "all",
  window: undefined,
  repeated: "last",
  repeats: 0,
  spread: 300,
  claimsApart: false,
  reuse: false,
  retention: 60_000,
  lease: 3_000,
  maxAttempts: undefined,
  sweeps: true,
  deadLetter: false,
  fingerprint: false,
  steps: "none",
  work: 0,
  flakiness: 0,
  poison: "none",
  patience: Infinity,
  batches: false,
  store: "memory",
  storeClock: true,
  skew: 0,
  faultRate: 0.03,
  faultsFrom: 0,
  faultsUntil: 10_000,
  target: undefined,
};

/** What is tried, each with what it changes of the usual. */
const families: Readonly<Record<string, (random: Random) => Partial<Scenario>>> = {
  orders: (random) => ({
    flakiness: random.pick([0, 0.3]),
    deadLetter: random.chance(0.2),
    maxAttempts: random.pick([undefined, undefined, 2]),
  }),
  windows: (random) => ({
    claimsApart: random.chance(0.2),
    window: { size: 2_000, grace: random.pick([0, 500]) },
    spread: 4_000,
    orders: 3,
  }),
  cancellations: (random) => ({
    condition: "unless cancelled",
    window: random.chance(0.5) ? { size: 2_000, grace: 0 } : undefined,
    spread: random.pick([100, 3_000]),
    orders: 3,
  }),
  repeats: (random) => ({
    repeats: 0.5,
    repeated: random.pick(["last", "first", "reject"]),
    window: random.chance(0.3) ? { size: 2_000, grace: 0 } : undefined,
    spread: random.pick([100, 3_000]),
  }),
  reuse: (random) => ({
    reuse: true,
    // Retention is measured by the clocks of the processes, so it has to be longer than they differ.
    skew: random.pick([0, 450]),
    orders: 1,
    retention: 30_000,
    faultsFrom: 29_000,
    faultsUntil: 44_000,
    window: random.chance(0.5) ? { size: 2_000, grace: 0 } : undefined,
    condition: random.chance(0.2) ? "unless cancelled" : "all",
    claimsApart: random.chance(0.2),
  }),
  steps: () => ({ steps: "claim", work: 4_000 }),
  each: (random) => ({ joiner: "each", repeats: random.pick([0, 0.5]), sweeps: false }),
  idempotency: (random) => ({
    joiner: "none",
    sweeps: false,
    ...random.pick([{}, { fingerprint: true, repeats: 0.5 }]),
    steps: random.pick(["none", "claim"]),
    work: random.pick([0, 4_000]),
  }),
  poison: (random) => ({ poison: "terminal", deadLetter: random.chance(0.5), joiner: random.pick(["once", "once", "none"]) }),
  crashers: (random) => ({
    poison: "crash",
    deadLetter: random.chance(0.5),
    maxAttempts: 3,
    joiner: random.pick(["once", "once", "none"]),
    orders: 1,
    faultRate: random.pick([0, 0.02]),
  }),
  batches: () => ({ batches: true }),
  "no sweep": (random) => ({ sweeps: false, flakiness: random.pick([0, 0.3]) }),
  // Worlds of the other families, in a store that makes the owner of a claim wait for a second between two writes of it.
  bucket: (random) => ({
    ...families[random.pick(["orders", "windows", "cancellations", "repeats", "reuse", "steps", "idempotency", "no sweep"])]?.(random),
    store: "bucket",
    storeClock: true,
    lease: 10_000,
  }),
};

const familyNames: readonly string[] = Object.keys(families);

/** Calls that few worlds make, and the families that make them. */
const rareSites: Readonly<Record<string, readonly CallSite[]>> = {
  orders: ["release"],
  "no sweep": ["release"],
  reuse: ["clear", "remove outcome"],
  steps: ["store step", "renew"],
  poison: ["fail", "report", "put aside", "look up letter"],
};

/** The world of a seed. Neighbouring seeds belong to different families, and each family meets every cell of the coverage in turn. */
export function scenarioOf(seed: number, family: string = familyNames[seed % familyNames.length] ?? "orders"): Scenario {
  const random = seededRandom(seed ^ 0x5eed);
  const ownCells = cells.filter(({ site }) => rareSites[family]?.includes(site));
  const aims = ownCells.length > 0 && random.chance(0.3) ? ownCells : cells;
  const cell = aims[Math.floor(seed / familyNames.length) % aims.length];
  const storeClock = random.chance(0.7);
  return {
    ...usual,
    family,
    workers: 1 + random.below(3),
    orders: 1 + random.below(2),
    storeClock,
    // Without a clock in the store the allowance of one second is what clocks may differ by, two of them together.
    skew: random.chance(0.5) ? 0 : storeClock ? random.pick([500, 20_000]) : 450,
    faultRate: random.pick([0, 0.01, 0.03, 0.08]),
    patience: random.chance(0.7) ? Infinity : 1 + random.below(5),
    target: cell && random.chance(0.7) ? { ...cell, skip: random.pick([0, 0, 1, 2]) } : undefined,
    ...families[family]?.(random),
  };
}
