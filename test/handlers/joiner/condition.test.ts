import fc from "fast-check";
import { expect, test } from "vitest";

import { type Condition, matchAll, matchAny, matchNone } from "../../../src/handlers/joiner/condition.ts";

test.for([
  [[], false],
  [["a"], false],
  [["b"], false],
  [["a", "b"], true],
  [["a", "b", "c"], true],
] as const)("matchAll of a and b with %j is %s", ([sources, holds]) => {
  expect(matchAll("a", "b").holds(new Set(sources))).toBe(holds);
});

test.for([
  [[], false],
  [["a"], true],
  [["b", "c"], true],
  [["c"], false],
] as const)("matchAny of a and b with %j is %s", ([sources, holds]) => {
  expect(matchAny("a", "b").holds(new Set(sources))).toBe(holds);
});

test.for([
  [[], true],
  [["c"], true],
  [["a"], false],
  [["a", "b", "c"], false],
] as const)("matchNone of a and b with %j is %s", ([sources, holds]) => {
  expect(matchNone("a", "b").holds(new Set(sources))).toBe(holds);
});

test.for([
  ["matchAll", matchAll()],
  ["matchAny", matchAny()],
  ["matchNone", matchNone()],
] as const)("%s of no source always holds, and goes on holding", ([_name, condition]) => {
  expect(condition.holds(new Set())).toBe(true);
  expect(condition.holds(new Set(["anything"]))).toBe(true);
  expect(condition.monotone).toBe(true);
});

test("xor holds when exactly one of the two does", () => {
  const condition = matchAll("a").xor(matchAll("b"));

  const holds = [[], ["a"], ["b"], ["a", "b"]].map((sources) => condition.holds(new Set(sources)));

  expect(holds).toEqual([false, true, true, false]);
});

test("and and or take several conditions at once", () => {
  const all = matchAll("a").and(matchAll("b"), matchAll("c"));
  const any = matchAll("a").or(matchAll("b"), matchAll("c"));

  expect([all.holds(new Set(["a", "b"])), all.holds(new Set(["a", "b", "c"]))]).toEqual([false, true]);
  expect([any.holds(new Set(["c"])), any.holds(new Set(["d"]))]).toEqual([true, false]);
});

test("and and or of no other condition are the condition itself", () => {
  const condition = matchAll("a");

  for (const sources of [new Set<string>(), new Set(["a"])]) {
    expect(condition.and().holds(sources)).toBe(condition.holds(sources));
    expect(condition.or().holds(sources)).toBe(condition.holds(sources));
  }
});

test("what is wanted is each source once, and none that must be absent", () => {
  const condition = matchAll("a", "b", "a").and(matchAny("b", "c"), matchNone("d"));

  expect(condition.wanted).toEqual(["a", "b", "c"]);
  expect(matchAll("a", "a").wanted).toEqual(["a"]);
});

test("a condition built of others holds exactly when its parts say so", () => {
  fc.assert(
    fc.property(expression(), fc.subarray([...names]), ({ condition, model }, present) => {
      expect(condition.holds(new Set(present))).toBe(model(new Set(present)));
    }),
  );
});

test("a condition that says it is monotone never becomes false by a further source", () => {
  fc.assert(
    fc.property(expression(), fc.subarray([...names]), fc.subarray([...names]), ({ condition }, present, more) => {
      fc.pre(condition.monotone && condition.holds(new Set(present)));

      expect(condition.holds(new Set([...present, ...more]))).toBe(true);
    }),
  );
});

test("conditions of matchAll and matchAny, joined by and and or, are monotone", () => {
  const condition = matchAll("a").and(matchAny("b", "c")).or(matchAll("d"));

  expect(condition.monotone).toBe(true);
});

test.for([
  ["matchNone of a source", matchNone("a")],
  ["xor", matchAll("a").xor(matchAll("b"))],
  ["and with a matchNone", matchAll("a").and(matchNone("b"))],
  ["or with a matchNone", matchAll("a").or(matchNone("b"))],
] as const)("%s is not monotone", ([_name, condition]) => {
  expect(condition.monotone).toBe(false);
});

const names = ["a", "b", "c", "__proto__"] as const;

interface Expression {
  readonly condition: Condition;
  readonly model: (present: ReadonlySet<string>) => boolean;
}

/** Conditions together with what they mean, written down a second time. */
function expression(): fc.Arbitrary<Expression> {
  const sources = fc.subarray([...names]);
  const { tree } = fc.letrec<{ tree: Expression; leaf: Expression }>((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      tie("leaf"),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => ({
        condition: a.condition.and(b.condition),
        model: (present: ReadonlySet<string>) => a.model(present) && b.model(present),
      })),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => ({
        condition: a.condition.or(b.condition),
        model: (present: ReadonlySet<string>) => a.model(present) || b.model(present),
      })),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => ({
        condition: a.condition.xor(b.condition),
        model: (present: ReadonlySet<string>) => a.model(present) !== b.model(present),
      })),
    ),
    leaf: fc.oneof(
      sources.map((wanted) => ({
        condition: matchAll(...wanted),
        model: (present: ReadonlySet<string>) => wanted.filter((name) => present.has(name)).length === wanted.length,
      })),
      sources.map((wanted) => ({
        condition: matchAny(...wanted),
        model: (present: ReadonlySet<string>) => wanted.length === 0 || wanted.filter((name) => present.has(name)).length > 0,
      })),
      sources.map((unwanted) => ({
        condition: matchNone(...unwanted),
        model: (present: ReadonlySet<string>) => unwanted.filter((name) => present.has(name)).length === 0,
      })),
    ),
  }));
  return tree;
}
