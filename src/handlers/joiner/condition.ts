/** Decides, on the sources that have arrived for a key, whether they are joined. */
export interface Condition {
  readonly holds: (sources: ReadonlySet<string>) => boolean;
  /** The sources it waits for, for showing which are missing. */
  readonly wanted: readonly string[];
  /** Whether more sources can never make it false again. Then a join needs no second look under a seal. */
  readonly monotone: boolean;
  and(...others: readonly Condition[]): Condition;
  or(...others: readonly Condition[]): Condition;
  /** Exactly one of the two holds. */
  xor(other: Condition): Condition;
}

/** Holds when every one of these sources has arrived; always, when none is named. */
export function matchAll(...sources: readonly string[]): Condition {
  return condition({ holds: (present) => sources.every((source) => present.has(source)), wanted: sources, monotone: true });
}

/** Holds when at least one of these sources has arrived; always, when none is named. */
export function matchAny(...sources: readonly string[]): Condition {
  return condition({
    holds: (present) => sources.length === 0 || sources.some((source) => present.has(source)),
    wanted: sources,
    monotone: true,
  });
}

/** Holds as long as none of these sources has arrived; always, when none is named. Combine it, since alone it holds for the first message. */
export function matchNone(...sources: readonly string[]): Condition {
  return condition({ holds: (present) => !sources.some((source) => present.has(source)), wanted: [], monotone: sources.length === 0 });
}

function condition(self: Pick<Condition, "holds" | "wanted" | "monotone">): Condition {
  return {
    ...self,
    wanted: [...new Set(self.wanted)],
    and: (...others) =>
      condition({
        holds: (present) => [self, ...others].every((each) => each.holds(present)),
        wanted: allWanted([self, ...others]),
        monotone: [self, ...others].every((each) => each.monotone),
      }),
    or: (...others) =>
      condition({
        holds: (present) => [self, ...others].some((each) => each.holds(present)),
        wanted: allWanted([self, ...others]),
        monotone: [self, ...others].every((each) => each.monotone),
      }),
    xor: (other) =>
      condition({
        holds: (present) => self.holds(present) !== other.holds(present),
        wanted: allWanted([self, other]),
        monotone: false,
      }),
  };
}

function allWanted(conditions: readonly Pick<Condition, "wanted">[]): readonly string[] {
  return conditions.flatMap((each) => each.wanted);
}
