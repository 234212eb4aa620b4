import type { RepeatPolicy } from "../../src/handlers/joiner/members.ts";
import type { CallSite } from "./call-sites.ts";
import type { FaultKind } from "./coverage.ts";

/** One certain fault: the `skip`-th later call from this place. */
export interface Target {
  readonly site: CallSite;
  readonly kind: FaultKind;
  readonly skip: number;
}

/** Everything that is fixed about a simulated world before it begins. All times are in milliseconds. */
export interface Scenario {
  readonly family: string;
  /** How many processes run the pipeline. */
  readonly workers: number;
  readonly orders: number;
  /** Whether a joiner stands in front, and how it emits; without one, each event is processed by itself. */
  readonly joiner: "once" | "each" | "none";
  /** `all`: event1, event2 and event3. `unless cancelled`: event1 and event2, and no cancellation. */
  readonly condition: "all" | "unless cancelled";
  readonly window: { readonly size: number; readonly grace: number } | undefined;
  readonly repeated: RepeatPolicy;
  /** How likely a source comes again with another event. */
  readonly repeats: number;
  /** How much later than the first an event may be sent for the first time. */
  readonly spread: number;
  /** Whether the joiner keeps its outcomes in another store than its messages. */
  readonly claimsApart: boolean;
  /** Whether a second order comes under each key when the first one's retention ends. */
  readonly reuse: boolean;
  readonly retention: number;
  readonly lease: number;
  readonly maxAttempts: number | undefined;
  readonly sweeps: boolean;
  readonly deadLetter: boolean;
  readonly fingerprint: boolean;
  /** Whether the handler keeps steps, and where; in records of their own they are fenced by nothing, which is a mutant. */
  readonly steps: "none" | "claim" | "own records";
  /** How long the handler works at most, apart from its calls. */
  readonly work: number;
  /** How likely the handler fails before it sends anything, to be tried again. */
  readonly flakiness: number;
  /** What the handler does with the first order: fail for good, or take its process with it. */
  readonly poison: "none" | "terminal" | "crash";
  /** How often a sender tries. */
  readonly patience: number;
  /** Whether events are delivered in batches. */
  readonly batches: boolean;
  /**
   * A bucket takes one change a second of each object, and is reached by requests that are sent again. The others of its adapters are mutants: a
   * credulous one takes every conflict after a lost answer for its own write, a hasty one drops deadlines whose writes may still come, and a
   * tardy one writes them behind the entry.
   */
  readonly store: "memory" | "bucket" | "credulous bucket" | "hasty bucket" | "tardy bucket";
  readonly storeClock: boolean;
  /** How far a process's clock is off, at most. */
  readonly skew: number;
  /** How likely any one call goes wrong while there are faults. */
  readonly faultRate: number;
  readonly faultsFrom: number;
  readonly faultsUntil: number;
  readonly target: Target | undefined;
}
