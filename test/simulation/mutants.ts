import type { Scenario } from "./scenario.ts";

import * as stores from "./store-mutants.ts";

/** One way to get the protocol wrong, and where it shows. */
export interface Mutant {
  readonly name: string;
  readonly family: string;
  /** What is fixed of the family's worlds, where they would show it too seldom. */
  readonly fixed?: Partial<Scenario>;
  /** How many seeds may be tried until it shows; about ten times what it takes on average. */
  readonly within: number;
  /** What is wrong with the store; absent where the source is patched, or the scenario itself is the mutant. */
  readonly mutateStore?: stores.StoreMutation;
}

/** Where each store mutant, and the scenario mutant, shows. */
export const environmentMutants: readonly Mutant[] = [
  {
    name: "no fence",
    family: "orders",
    within: 1_000,
    fixed: { target: { site: "sink", kind: "pause", skip: 0 } },
    mutateStore: stores.withoutFence,
  },
  {
    name: "blind takeover",
    family: "orders",
    within: 1_000,
    fixed: { target: { site: "sink", kind: "crash after", skip: 0 } },
    mutateStore: stores.blindTakeOver,
  },
  {
    name: "blind complete",
    family: "orders",
    within: 1_000,
    fixed: { target: { site: "sink", kind: "pause", skip: 0 } },
    mutateStore: stores.blindComplete,
  },
  { name: "release by removal", family: "orders", within: 500, mutateStore: stores.releaseByRemoval },
  {
    name: "blind removal",
    family: "reuse",
    within: 2_000,
    fixed: { workers: 3, faultRate: 0.08, lease: 1_000, spread: 6_000, target: { site: "clear", kind: "slow", skip: 0 } },
    mutateStore: stores.blindRemoval,
  },
  { name: "one field for due and expiry", family: "windows", within: 100, mutateStore: stores.oneFieldForDueAndExpiry },
  {
    name: "reused revisions",
    family: "reuse",
    within: 2_000,
    fixed: { workers: 3, faultRate: 0.08, lease: 1_000, spread: 6_000, target: { site: "clear", kind: "slow", skip: 0 } },
    mutateStore: stores.reusedRevisions,
  },
  { name: "stale lists", family: "orders", within: 200, mutateStore: stores.staleLists },
  {
    name: "steps in records of their own",
    family: "steps",
    within: 500,
    fixed: { steps: "own records", workers: 3, target: { site: "sink", kind: "pause", skip: 0 } },
  },
  { name: "acknowledged and refused", family: "bucket", within: 100, mutateStore: stores.acknowledgedAndRefused },
  {
    name: "conflicts taken for its own writes",
    family: "bucket",
    within: 500,
    fixed: { store: "credulous bucket", workers: 3, target: { site: "claim", kind: "late", skip: 0 } },
  },
  {
    name: "deadlines dropped while their writes may come",
    family: "bucket",
    within: 1_000,
    fixed: {
      store: "hasty bucket",
      joiner: "once",
      sweeps: true,
      workers: 3,
      patience: 1,
      lease: 3_000,
      target: { site: "claim", kind: "late", skip: 0 },
    },
  },
  {
    name: "deadlines written behind their entries",
    family: "bucket",
    within: 100,
    fixed: { store: "tardy bucket", joiner: "once", sweeps: true, patience: 1, target: { site: "claim", kind: "crash after", skip: 0 } },
  },
];

/** Where each patch of `source-mutants.ts` shows. */
export const sourceMutants: readonly Mutant[] = [
  { name: "complete before next", family: "orders", within: 300 },
  { name: "acknowledging a duplicate in progress of the same identity", family: "no sweep", within: 1_000 },
  { name: "acknowledging a duplicate in progress, without a joiner", family: "idempotency", within: 100 },
  {
    name: "acknowledging while nothing is decided",
    family: "windows",
    within: 1_000,
    fixed: { target: { site: "read members", kind: "slow", skip: 0 } },
  },
  { name: "list before persist", family: "orders", within: 200 },
  { name: "no late check", family: "repeats", within: 50 },
  { name: "no seal", family: "cancellations", within: 2_000, fixed: { spread: 100, window: undefined } },
  { name: "no freeze", family: "repeats", within: 100 },
  { name: "outcome removed first", family: "reuse", within: 400 },
  {
    name: "one-pass retention",
    family: "reuse",
    within: 2_000,
    fixed: { workers: 3, target: { site: "look up claim", kind: "slow", skip: 0 } },
  },
  {
    name: "no own-source check",
    family: "reuse",
    within: 2_000,
    fixed: { patience: 1, target: { site: "store member", kind: "slow", skip: 0 } },
  },
  { name: "fence restart", family: "orders", within: 1_000, fixed: { skew: 20_000, storeClock: true } },
  {
    name: "unserialised owner writes",
    family: "steps",
    within: 1_000,
    fixed: { workers: 3, faultRate: 0.08, target: { site: "store step", kind: "slow", skip: 0 } },
  },
  {
    name: "late writes of its own overwritten",
    family: "windows",
    within: 2_000,
    fixed: { faultRate: 0.08, lease: 9_000, target: { site: "freeze", kind: "late", skip: 0 } },
  },
  {
    name: "skipping failed ones",
    family: "poison",
    within: 200,
    fixed: { joiner: "none", deadLetter: false, target: { site: "fail", kind: "crash after", skip: 0 } },
  },
  { name: "work begun after the lease", family: "orders", within: 1_000, fixed: { target: { site: "claim", kind: "slow", skip: 0 } } },
  {
    name: "clearing what is not due",
    family: "steps",
    within: 1_000,
    fixed: { skew: 20_000, storeClock: true, target: { site: "list due", kind: "slow", skip: 1 } },
  },
  {
    name: "changes that keep the owner",
    family: "orders",
    within: 1_000,
    fixed: { maxAttempts: 1, target: { site: "sink", kind: "pause", skip: 0 } },
  },
  { name: "second events acknowledged after the end", family: "repeats", within: 1_000, fixed: { repeated: "reject", window: undefined } },
  {
    name: "lists believed that an outcome has left",
    family: "reuse",
    within: 2_000,
    fixed: { workers: 3, patience: 1, window: { size: 2_000, grace: 0 }, target: { site: "list sources", kind: "slow", skip: 0 } },
  },
  { name: "claims that never go", family: "idempotency", within: 500 },
];
