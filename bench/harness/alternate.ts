import { check, type Check, type Measurement, type Target } from "./result.ts";
import { spreadOf } from "./statistics.ts";

/** One of those that are compared. */
export interface Contestant<Cost = number> {
  readonly name: string;
  /** Runs once and tells what one operation has cost. What it prepares and clears away is not part of that. */
  readonly round: () => Promise<Cost>;
}

export interface Rounds {
  readonly warmUp: number;
  readonly measured: number;
}

/** The cost of each round by contestant; the rounds with one index were run one right after another. */
export type Samples<Cost = number> = ReadonlyMap<string, readonly Cost[]>;

/**
 * Runs the contestants in turns, A B A B, so that whatever slows the machine for a while slows all of them.
 *
 * mitata, which is good at timing one function, measures one benchmark to its end before the next and by the wall clock; for ratios on a shared
 * machine that is what must not be done.
 */
export async function alternate<Cost = number>(
  contestants: readonly Contestant<Cost>[],
  { warmUp, measured }: Rounds,
): Promise<Samples<Cost>> {
  const samples = new Map(contestants.map(({ name }): [string, Cost[]] => [name, []]));
  for (let round = -warmUp; round < measured; round += 1) {
    // Every second time the other way round, for who comes first may find another machine than who comes last.
    for (const { name, round: run } of round % 2 === 0 ? contestants : contestants.toReversed()) {
      // Not a full collection: after one, Node makes the space for young objects small again, which no running service has.
      globalThis.gc?.({ type: "minor" });
      const cost = await run();
      if (round >= 0) samples.get(name)?.push(cost);
    }
  }
  return samples;
}

/** One figure of several that each round has told. */
export function samplesOf<Cost>(samples: Samples<Cost>, figure: (cost: Cost) => number): Samples {
  return new Map(Array.from(samples, ([name, costs]) => [name, costs.map(figure)]));
}

/** Microseconds of CPU time an operation, all threads of the process together: collecting the garbage of a round is part of its cost. */
export async function cpuTime(operations: number, run: () => Promise<void>): Promise<number> {
  // What survives two is old: to copy what was prepared is no part of what is measured.
  for (let collection = 0; collection < 2; collection += 1) globalThis.gc?.({ type: "minor" });
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / operations;
}

/** Microseconds by the clock an operation: only for what waits for the disk. */
export async function wallTime(operations: number, run: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await run();
  return ((performance.now() - before) * 1_000) / operations;
}

/** One line for each contestant. */
export function measurements(samples: Samples, unit: string): readonly Measurement[] {
  return Array.from(samples, ([contestant, costs]) => ({ contestant, figure: spreadOf(costs), unit }));
}

/** The same, as operations a second. */
export function rates(samples: Samples, unit: string): readonly Measurement[] {
  return Array.from(samples, ([contestant, costs]) => ({ contestant, figure: spreadOf(costs.map((cost) => 1_000_000 / cost)), unit }));
}

/** How many times the cost of `against` the cost of `subject` is, by pairs of neighbouring rounds. */
export function costRatio(samples: Samples, subject: string, against: string, target?: Target): Check {
  return check(`time of ${subject} / ${against}`, quotients(samples, subject, against), "x", target);
}

/** How many times the rate of `against` the rate of `subject` is, by pairs of neighbouring rounds. */
export function rateRatio(samples: Samples, subject: string, against: string, target?: Target): Check {
  return check(`rate of ${subject} / ${against}`, quotients(samples, against, subject), "x", target);
}

function quotients(samples: Samples, dividend: string, divisor: string): readonly number[] {
  const divisors = samples.get(divisor) ?? [];
  return (samples.get(dividend) ?? []).map((cost, round) => cost / (divisors[round] ?? Number.NaN));
}
