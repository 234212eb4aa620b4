import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";

import { findExamples, runAll, runExample, serversOf } from "../../tools/examples.ts";
import { firstDifference } from "../../tools/expected-output.ts";
import { projectRoot } from "../../tools/run-command.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("output equal to what was expected has no difference, whatever it holds", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((text) => !text.includes("{{...}}")),
      (text) => {
        expect(firstDifference(text, text)).toBeUndefined();
      },
    ),
  );
});

test("a wildcard stands for any text of its line, empty text too, and for no line break", () => {
  const expected = "listening on http://127.0.0.1:{{...}}\n[{{...}}] took {{...}} ms (ok?)\n";

  expect(firstDifference(expected, "listening on http://127.0.0.1:8080\n[] took 3.2 ms (ok?)\n")).toBeUndefined();
  expect(firstDifference(expected, "listening on http://127.0.0.1:8080\n[] took 3.2 ms (ok\n")).toContain("line 2");
  expect(firstDifference(expected, "listening on http://127.0.0.1:\n8080\n[] took 3.2 ms (ok?)\n")).toContain("line 2");
});

test("a missing and an additional line are differences", () => {
  expect(firstDifference("one\ntwo\n", "one\n")).toBe("line 2\n  expected: two\n  written:  (end)");
  expect(firstDifference("one\n", "one\ntwo\n")).toBe("line 2\n  expected: (end)\n  written:  two");
});

test("examples are the folders with an expected.txt, at any depth", () => {
  const root = temporaryFolder({ "examples/02-b/expected.txt": "", "examples/01-a/demo/expected.txt": "", "examples/README.md": "" });

  expect(findExamples(root)).toEqual(["examples/01-a/demo", "examples/02-b"]);
});

test("an example without an expected.txt is refused, and so is a project without examples", () => {
  const forgotten = temporaryFolder({ "examples/01-a/expected.txt": "", "examples/02-b/main.ts": "" });
  const empty = temporaryFolder({ "README.md": "" });

  expect(() => findExamples(forgotten)).toThrow("examples/02-b has no expected.txt");
  expect(() => findExamples(empty)).toThrow("no folder below examples/");
});

test("an example that writes what is expected passes", async () => {
  const folder = temporaryFolder({
    "main.ts": "const port: number = 8080; console.log(`port ${port}`);",
    "expected.txt": "port {{...}}\n",
  });

  expect(await runExample(folder, "sources")).toBeUndefined();
});

test("an example that writes something else, fails or does not end is told apart", async () => {
  const different = temporaryFolder({ "main.ts": 'console.log("one");', "expected.txt": "two\n" });
  const failing = temporaryFolder({ "main.ts": 'console.log("one"); process.exitCode = 2;', "expected.txt": "one\n" });
  const endless = temporaryFolder({ "main.ts": "setInterval(() => {}, 1000);", "expected.txt": "" });

  expect(await runExample(different, "sources")).toContain("first on line 1\n  expected: two\n  written:  one");
  expect(await runExample(failing, "sources")).toContain("exited with code 2");
  expect(await runExample(endless, "sources", { timeLimit: 300 })).toContain("was not done after 0.3 s");
});

test("the source condition is set for the sources alone", async () => {
  const files = { "main.ts": 'console.log(process.execArgv.includes("@event-driver/source"));' };
  const folder = temporaryFolder({ ...files, "expected.txt": "true\n" });
  const packaged = temporaryFolder({ ...files, "expected.txt": "false\n" });

  expect(await runExample(folder, "sources")).toBeUndefined();
  expect(await runExample(packaged, "packages")).toBeUndefined();
});

test("an example is told where the servers are whose variables it reads", async () => {
  vi.stubEnv("EVENT_DRIVER_PORT_OFFSET", "1000");
  vi.stubEnv("NATS_URL", "");
  vi.stubEnv("MQTT_URL", "mqtt://10.0.0.1");
  const folder = temporaryFolder({
    "main.ts": 'console.log(process.env["NATS_URL"], process.env["MQTT_URL"]);',
    "expected.txt": "nats://127.0.0.1:25480 mqtt://10.0.0.1\n",
  });

  expect(await runExample(folder, "sources")).toBeUndefined();
});

test("an example whose server does not answer is left out aloud, and the others are run", async () => {
  vi.stubEnv("NATS_URL", nobody);
  vi.stubEnv("REQUIRE_SERVICES", "");
  const lines: string[] = [];

  const passed = await runAll(withOneOverNats(), (line) => lines.push(line));

  expect(passed).toBe(true);
  expect(lines).toEqual([
    `examples/01-a LEFT OUT: no answer at ${nobody}; start its server with scripts/services start`,
    expect.stringMatching(/^examples\/02-b on the sources: as expected in /),
    expect.stringMatching(/^examples\/02-b on the packages: as expected in /),
  ]);
});

test("where servers are required, an example that is left out has failed", async () => {
  vi.stubEnv("NATS_URL", nobody);
  vi.stubEnv("REQUIRE_SERVICES", "1");

  expect(await runAll(withOneOverNats(), () => {})).toBe(false);
});

test("left to itself, an example finds its server where scripts/services starts it", () => {
  const folders = findExamples().map((folder) => join(projectRoot, folder));

  const defaults = folders.flatMap((folder) =>
    serversOf(folder).map((server) => ({ folder, line: `process.env["${server.variable}"] || "${server.at(0)}"` })),
  );

  expect(defaults).toHaveLength(5);
  for (const { folder, line } of defaults) expect(readFileSync(join(folder, "main.ts"), "utf8")).toContain(line);
});

/** A port of the loopback interface that nobody may listen on without being asked. */
const nobody = "nats://127.0.0.1:1";

function withOneOverNats(): string {
  return temporaryFolder({
    "examples/01-a/main.ts": 'console.log(process.env["NATS_URL"]);',
    "examples/01-a/expected.txt": "",
    "examples/02-b/main.ts": 'console.log("one");',
    "examples/02-b/expected.txt": "one\n",
  });
}
