import { expect, test } from "vitest";

import type { CaseResult } from "../../bench/harness/result.ts";

import { cases } from "../../bench/cases/index.ts";
import { alternate, costRatio, measurements, rateRatio, rates } from "../../bench/harness/alternate.ts";
import { formatCase, formatSummary } from "../../bench/harness/report.ts";
import { check } from "../../bench/harness/result.ts";
import { slopeOf, spreadOf } from "../../bench/harness/statistics.ts";

test("a spread is the median and the quartiles, and does not see one bad round", () => {
  expect(spreadOf([3, 1, 2, 5, 4])).toEqual({ median: 3, low: 2, high: 4, samples: 5 });
  expect(spreadOf([1, 2, 3, 4])).toEqual({ median: 2.5, low: 1.75, high: 3.25, samples: 4 });
  expect(spreadOf([3, 1, 2, 5, 4_000]).median).toBe(3);
});

test("the slope is that of the line through the points", () => {
  expect(
    slopeOf([
      [0, 7],
      [1, 9],
      [2, 11],
    ]),
  ).toBeCloseTo(2);
  expect(
    slopeOf([
      [10, 5],
      [20, 5],
      [30, 5],
    ]),
  ).toBe(0);
});

test("contestants take turns, every second time the other way round, and warm-up rounds do not count", async () => {
  const order: string[] = [];
  const contestant = (name: string) => ({
    name,
    round: async () => {
      order.push(name);
      return order.length;
    },
  });

  const samples = await alternate([contestant("a"), contestant("b")], { warmUp: 1, measured: 2 });

  expect(order).toEqual(["b", "a", "a", "b", "b", "a"]);
  expect([...samples]).toEqual([
    ["a", [3, 6]],
    ["b", [4, 5]],
  ]);
});

test("ratios are made pair by pair, so that a round in which the machine is slow moves no ratio", () => {
  const samples = new Map([
    ["a", [1, 10, 2]],
    ["b", [2, 20, 4]],
  ]);

  expect(costRatio(samples, "a", "b", { most: 0.5 })).toMatchObject({ figure: { low: 0.5, median: 0.5, high: 0.5 }, reached: true });
  expect(rateRatio(samples, "a", "b", { least: 2.1 })).toMatchObject({ figure: { low: 2, median: 2, high: 2 }, reached: false });
});

test("costs in microseconds are shown as they are, or as operations a second", () => {
  const samples = new Map([["a", [100, 200, 250]]]);

  expect(measurements(samples, "µs")).toMatchObject([{ contestant: "a", figure: { median: 200 }, unit: "µs" }]);
  expect(rates(samples, "a second")).toMatchObject([{ contestant: "a", figure: { median: 5_000 }, unit: "a second" }]);
});

test("the report names every target that was missed, and none that was reached or has no figure to reach", () => {
  const result: CaseResult = {
    name: "case",
    title: "what it is about",
    measurements: [],
    checks: [check("good", [1], "x", { most: 2 }), check("bad", [3], "x", { most: 2 }), check("told only", [9], "x")],
    notes: ["a note"],
  };

  expect(formatCase(result)).toMatch(
    /^case: what it is about\n {2}good .*at most 2 +yes\n {2}bad .*at most 2 +NO\n {2}told only +9\.00 x\n {2}\(a note\)\n$/,
  );
  expect(formatSummary([result])).toBe("1 of 2 targets reached\n  missed in case: bad, 3.00 x\n");
});

test("every case can be loaded", async () => {
  const loaded = await Promise.all(Array.from(cases.values(), ({ load }) => load()));

  expect(loaded.map((run) => typeof run)).toEqual(loaded.map(() => "function"));
});
