import { type Spread, spreadOf } from "./statistics.ts";

/** What one contestant needed. */
export interface Measurement {
  readonly contestant: string;
  readonly figure: Spread;
  readonly unit: string;
}

/** A figure, with what it must reach where that is asked of it. */
export interface Check {
  readonly what: string;
  readonly figure: Spread;
  readonly unit: string;
  readonly target?: Target;
  /** Whether the median is within the target; absent where there is none. */
  readonly reached?: boolean;
}

export type Target = { readonly most: number } | { readonly least: number };

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly measurements: readonly Measurement[];
  readonly checks: readonly Check[];
  /** What a reader must know of this run to read its figures. */
  readonly notes: readonly string[];
}

/** What a case is given, and what it gives back without the names under which it is listed. */
export type RunCase = (options: CaseOptions) => Promise<Omit<CaseResult, "name" | "title" | "notes"> & Partial<Pick<CaseResult, "notes">>>;

export interface CaseOptions {
  /** Fewer and shorter rounds: enough to see that it runs, too few to rely on. */
  readonly quick: boolean;
}

/** Checks samples of one figure against its target. */
export function check(what: string, samples: readonly number[], unit: string, target?: Target): Check {
  const figure = spreadOf(samples);
  return { what, figure, unit, ...(target !== undefined && { target, reached: isReached(figure.median, target) }) };
}

function isReached(median: number, target: Target): boolean {
  return "most" in target ? median <= target.most : median >= target.least;
}
