import type { CaseResult, Check, Target } from "./result.ts";
import type { Spread } from "./statistics.ts";

/** A result as a person reads it: what each contestant needed, then what had to be reached. */
export function formatCase({ name, title, measurements, checks, notes }: CaseResult): string {
  const rows = [
    ...measurements.map(({ contestant, figure, unit }) => [contestant, amount(figure.median, unit), spread(figure), "", ""]),
    ...checks.map((check) => [check.what, amount(check.figure.median, check.unit), spread(check.figure), targetOf(check), verdict(check)]),
  ];
  const widths = [58, 16, 19, 15, 0];
  const lines = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" ")}`.trimEnd());
  return [`${name}: ${title}`, ...lines, ...notes.map((note) => `  (${note})`), ""].join("\n");
}

/** The last line: how many of the targets were reached, and which were not. */
export function formatSummary(results: readonly CaseResult[]): string {
  const checks = results.flatMap((result) => result.checks.map((each) => ({ ...each, name: result.name })));
  const missed = checks.filter(({ reached }) => reached === false);
  const reached = checks.filter((each) => each.reached === true).length;
  const list = missed.map(({ name, what, figure, unit }) => `  missed in ${name}: ${what}, ${amount(figure.median, unit)}`);
  return [`${reached} of ${reached + missed.length} targets reached`, ...list, ""].join("\n");
}

function amount(value: number, unit: string): string {
  return `${digits(value)} ${unit}`;
}

function spread({ low, high, samples }: Spread): string {
  return samples === 1 ? "" : `${digits(low)} to ${digits(high)}`;
}

function targetOf({ target }: Check): string {
  return target === undefined ? "" : describe(target);
}

function describe(target: Target): string {
  return "most" in target ? `at most ${target.most}` : `at least ${target.least}`;
}

function verdict({ reached }: Check): string {
  if (reached === undefined) return "";
  return reached ? "yes" : "NO";
}

/** Three significant digits, and all of those in front of the point. */
function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
