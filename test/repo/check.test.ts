import { expect, test } from "vitest";

import { type Gate, gates, runGates, selectGates } from "../../tools/check.ts";

const passing: Gate = { name: "passing", command: ["node", "-e", "console.log('all quiet')"] };
const failing: Gate = { name: "failing", command: ["node", "-e", "console.error('what broke'); process.exitCode = 4"] };

test("gates that pass are named with their time and stay quiet", async () => {
  const written: string[] = [];

  const passed = await runGates([passing], (text) => written.push(text));

  expect(passed).toBe(true);
  expect(written.join("")).toMatch(/^passed passing in \d+\.\d s\n\nall 1 gates passed in \d+\.\d s\n$/);
});

test("the first gate that fails ends the run, with its output, its name and how to run it alone", async () => {
  const written: string[] = [];

  const passed = await runGates([failing, passing], (text) => written.push(text));

  expect(passed).toBe(false);
  expect(written.join("")).toMatch(
    /^what broke\n\nFAILED failing after \d+\.\d s: node -e .* exited with code 4\nRun it alone with: npm run check -- failing\n$/,
  );
});

test("gates are selected by name and keep their order", () => {
  expect(selectGates(gates, ["test", "lint"]).map((gate) => gate.name)).toEqual(["lint", "test"]);
  expect(selectGates(gates, [])).toBe(gates);
});

test("a name that is no gate is refused with the names there are", () => {
  expect(() => selectGates([passing, failing], ["linting"])).toThrow("no gate is called linting; there are passing, failing");
});
