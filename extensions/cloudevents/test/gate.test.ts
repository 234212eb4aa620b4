import { expect, test } from "vitest";

import { createGate } from "../src/receive/gate.ts";

test("no more run at once than allowed, and those who wait get their turn in the order they came", async () => {
  const gate = createGate(2, 10);
  const tasks = [1, 2, 3, 4].map((name) => ({ name, end: Promise.withResolvers<void>() }));
  const begun: number[] = [];

  const runs = tasks.map(({ name, end }) =>
    gate.run(() => {
      begun.push(name);
      return end.promise;
    }),
  );
  expect(begun).toEqual([1, 2]);
  tasks[1]?.end.resolve();
  await runs[1];
  await Promise.resolve();
  expect(begun).toEqual([1, 2, 3]);
  for (const { end } of tasks) end.resolve();
  await Promise.all(runs);

  expect(begun).toEqual([1, 2, 3, 4]);
});

test("a task that fails gives its place to the next", async () => {
  const gate = createGate(1, 10);

  const failed = gate.run(() => Promise.reject(new Error("no")));
  const next = gate.run(() => Promise.resolve("done"));

  await expect(failed).rejects.toThrow("no");
  await expect(next).resolves.toBe("done");
  await expect(gate.run(() => Promise.resolve("again"))).resolves.toBe("again");
});

test("it is empty when everybody has left, and stays open to those who come then", async () => {
  const gate = createGate(1, 1);
  await gate.empty();

  expect([gate.enter(), gate.enter(), gate.enter()]).toEqual([true, true, false]);
  let empty = false;
  const waiting = gate.empty().then(() => (empty = true));
  gate.leave();
  await Promise.resolve();
  expect(empty).toBe(false);
  gate.leave();
  await waiting;

  expect(gate.enter()).toBe(true);
  expect(gate.inside).toBe(1);
});
