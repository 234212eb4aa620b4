import type { CallSite } from "./call-sites.ts";
import type { Random } from "./random.ts";
import type { Scenario, Target } from "./scenario.ts";
import type { Scheduler } from "./scheduler.ts";

import { cells, type Coverage, type FaultKind } from "./coverage.ts";

/** Decides what goes wrong with which call. */
export class Faults {
  readonly #scenario: Scenario;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #coverage: Coverage;
  #target: Target | undefined;
  #left: number;

  constructor(scenario: Scenario, scheduler: Scheduler, random: Random, coverage: Coverage) {
    this.#scenario = scenario;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#coverage = coverage;
    this.#target = scenario.target;
    this.#left = scenario.target?.skip ?? 0;
  }

  /** What goes wrong with a call that is being made now. */
  draw(site: CallSite): FaultKind | undefined {
    const { faultsFrom, faultsUntil, faultRate } = this.#scenario;
    const { now } = this.#scheduler;
    if (now < faultsFrom || now >= faultsUntil) return undefined;
    const kind = this.#drawTarget(site) ?? (this.#random.chance(faultRate) ? this.#drawKind(site) : undefined);
    if (kind !== undefined) this.#coverage.count(site, kind);
    return kind;
  }

  #drawTarget(site: CallSite): FaultKind | undefined {
    if (this.#target?.site !== site) return undefined;
    if (this.#left > 0) {
      this.#left -= 1;
      return undefined;
    }
    const { kind } = this.#target;
    this.#target = undefined;
    return kind;
  }

  #drawKind(site: CallSite): FaultKind | undefined {
    const kinds = kindsOf.get(site) ?? [];
    return kinds[this.#random.below(kinds.length)];
  }
}

const kindsOf: ReadonlyMap<CallSite, readonly FaultKind[]> = new Map(
  [...Map.groupBy(cells, (cell) => cell.site)].map(([site, ofSite]) => [site, ofSite.map((cell) => cell.kind)]),
);
