import { env } from "node:process";

/** What the environment may ask of the simulation. */
export interface SimulationSettings {
  /** The only seed to be run, with a trace of everything that happens; from `SIMULATION_SEED`. */
  readonly seed: number | undefined;
  /**
   * How many seeds are run; from `SIMULATION_SEEDS`.
   * @default 12_000
   */
  readonly seeds: number;
}

/** @throws Error when a variable is not a whole number */
export function simulationSettings(environment: Readonly<Record<string, string | undefined>> = env): SimulationSettings {
  return { seed: wholeNumber(environment, "SIMULATION_SEED"), seeds: wholeNumber(environment, "SIMULATION_SEEDS") ?? 12_000 };
}

function wholeNumber(environment: Readonly<Record<string, string | undefined>>, name: string): number | undefined {
  const text = environment[name];
  if (text === undefined || text === "") return undefined;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${name} is ${text}, allowed is a whole number from 0`);
  return number;
}
