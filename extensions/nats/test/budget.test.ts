import fc from "fast-check";
import { expect, test } from "vitest";

import { Budget, type Spender } from "../src/budget.ts";

test("one that is alone has all of it", () => {
  const budget = new Budget(8);
  const only = spender(3);
  budget.join(only);

  expect([budget.shareOf(only), budget.roomFor(only)]).toEqual([8, 5]);
});

test("several have equal shares, and what is left over goes to the first ones", () => {
  const budget = new Budget(8);
  const all = [spender(), spender(), spender()];
  for (const each of all) budget.join(each);

  expect(all.map((each) => budget.shareOf(each))).toEqual([3, 3, 2]);
});

test("one that has asked when its share was larger leaves less to the others until it has settled", () => {
  const budget = new Budget(8);
  const [first, second] = [spender(8), spender()];
  budget.join(first);
  budget.join(second);
  expect(budget.roomFor(second)).toBe(0);

  first.spent = 6;
  budget.freed(first);

  expect(budget.roomFor(second)).toBe(2);
  expect(second.told).toBe(1);
});

test("where there are more than may ask they take turns, and those that cannot ask are passed over", () => {
  const budget = new Budget(1);
  const all = [spender(), spender(), spender()];
  const [first, second, third] = all;
  for (const each of all) budget.join(each);
  const turns: number[] = [];

  if (second !== undefined) second.isReady = false;
  for (let turn = 0; turn < 4; turn += 1) {
    const next = all.findIndex((each) => budget.roomFor(each) === 1);
    turns.push(next);
    const asking = all[next];
    if (asking !== undefined) budget.asked(asking);
  }

  expect(turns).toEqual([0, 2, 0, 2]);
  expect([first, second, third].every((each) => each !== undefined && budget.shareOf(each) === 1)).toBe(true);
});

test("the others are told when one comes or goes", () => {
  const budget = new Budget(8);
  const [first, second] = [spender(), spender()];
  budget.join(first);

  budget.join(second);
  budget.leave(second);
  budget.leave(second);

  expect([first.told, second.told]).toEqual([2, 0]);
});

test("never is more asked for than there is, and whoever waits comes to it, whoever comes, goes, asks and settles", () => {
  const steps = fc.array(fc.record({ who: fc.nat(5), what: fc.constantFrom("join", "leave", "ask", "settle") }), { maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), steps, (limit, moves) => {
      const budget = new Budget(limit);
      const all = Array.from({ length: 6 }, () => spender());
      const members = new Set<TestSpender>();
      for (const { who, what } of moves) {
        const each = all[who];
        if (each === undefined) continue;
        if (what === "join") budget.join(each);
        if (what === "join") members.add(each);
        if (!members.has(each)) continue;
        if (what === "ask") ask(budget, each);
        if (what === "settle") each.spent = 0;
        if (what === "leave") {
          each.spent = 0;
          budget.leave(each);
          members.delete(each);
        }
        expect(spentBy(all)).toBeLessThanOrEqual(limit);
      }
      const waiting = new Set(members);
      for (const each of members) each.spent = 0;
      for (let round = 0; round < 6; round += 1) {
        for (const each of members) if (ask(budget, each)) waiting.delete(each);
        for (const each of members) each.spent = 0;
      }
      expect(waiting.size).toBe(0);
    }),
  );
});

interface TestSpender extends Spender {
  spent: number;
  isReady: boolean;
  /** How often it was told that something has changed. */
  told: number;
}

function spender(spent: number = 0): TestSpender {
  return { spent, isReady: true, told: 0, rebudget: countCall };
}

function countCall(this: TestSpender): void {
  this.told += 1;
}

/** Whether it was allowed to. */
function ask(budget: Budget, each: TestSpender): boolean {
  const room = budget.roomFor(each);
  if (room <= 0) return false;
  each.spent += room;
  budget.asked(each);
  return true;
}

function spentBy(all: readonly TestSpender[]): number {
  return all.reduce((sum, { spent }) => sum + spent, 0);
}
