import { type CallSite, readSites, timerSites, writeSites } from "./call-sites.ts";

/** What can go wrong with a call, and is counted for each place that calls. */
export const coveredFaults = ["crash before", "crash after", "error before", "error after", "late"] as const;

/** The same, and what else can go wrong and is not counted. */
export type FaultKind = (typeof coveredFaults)[number] | "slow" | "hang" | "pause";

export interface Cell {
  readonly site: CallSite;
  readonly kind: FaultKind;
}

const callFaults = [...coveredFaults, "slow", "hang", "pause"] as const;
const timerFaults = ["crash before", "crash after", "late", "pause"] as const;

/** Everything that can be made to go wrong. A timer only fires late, or with it the process dies. */
export const cells: readonly Cell[] = [
  ...[...writeSites, ...readSites].flatMap((site) => callFaults.map((kind) => ({ site, kind }))),
  ...timerSites.flatMap((site) => timerFaults.map((kind) => ({ site, kind }))),
];

/** Counts how often each thing went wrong at each place. */
export class Coverage {
  readonly #counts = new Map<string, number>();

  count(site: CallSite, kind: FaultKind): void {
    const cell = `${site}/${kind}`;
    this.#counts.set(cell, (this.#counts.get(cell) ?? 0) + 1);
  }

  /** What has to be hit and never was. */
  gaps(): readonly string[] {
    return cells.filter(({ site, kind }) => isCovered(kind) && this.#of(site, kind) === 0).map(({ site, kind }) => `${site} / ${kind}`);
  }

  /** One line for each place, one column for each fault; `-` where there is nothing that could be hit. */
  table(): string {
    const head = ["call site", ...coveredFaults];
    const rows = [...writeSites, ...readSites, ...timerSites].map((site) => [
      site,
      ...coveredFaults.map((kind) => this.#shown(site, kind)),
    ]);
    return [head, ...rows]
      .map((row) => row.map((text, column) => (column === 0 ? text.padEnd(16) : text.padStart(13))).join(""))
      .join("\n");
  }

  #shown(site: CallSite, kind: FaultKind): string {
    return cells.some((cell) => cell.site === site && cell.kind === kind) ? String(this.#of(site, kind)) : "-";
  }

  #of(site: CallSite, kind: FaultKind): number {
    return this.#counts.get(`${site}/${kind}`) ?? 0;
  }
}

function isCovered(kind: FaultKind): boolean {
  return coveredFaults.some((covered) => covered === kind);
}
