import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test, type TestContext } from "vitest";

import { commandOf, output } from "./children/run-child.ts";
import { temporaryFile } from "./temporary-file.ts";

test("between the last write to the database and each acknowledgement there is an fsync of it", async (context) => {
  requireStrace(context);
  const file = temporaryFile();
  const trace = `${file}.trace`;

  // Only the one thread that runs JavaScript, so that no call is reported in two halves.
  await output([
    "strace",
    "-y",
    "-e",
    "trace=write,pwrite64,fsync,fdatasync",
    "-o",
    trace,
    ...commandOf("persist-and-say", file, "a", "300"),
  ]);

  const calls = callsOn(file, readFileSync(trace, "utf8"));
  const firstAnswer = calls.indexOf("acknowledge");
  expect(calls.filter((call) => call === "acknowledge")).toHaveLength(150 * 1 + 150 * 5);
  expect(calls.slice(firstAnswer, calls.lastIndexOf("acknowledge"))).toContain("write file");
  expect(acknowledgedUnsynced(calls)).toEqual([]);
});

test.each([
  ["without an fsync", ["write log", "acknowledge"], [1]],
  ["before the fsync", ["write log", "sync log", "write log", "acknowledge", "sync log"], [3]],
  ["after an fsync of another file", ["write log", "sync file", "acknowledge"], [2]],
  ["after the fsync", ["write log", "sync log", "acknowledge"], []],
] satisfies [string, Call[], number[]][])("an acknowledgement %s is told from a good one", (_, calls, unsynced) => {
  expect(acknowledgedUnsynced(calls)).toEqual(unsynced);
});

type Call = "write file" | "sync file" | "write log" | "sync log" | "acknowledge";

/** The system calls that matter, in order. The log's index is no data: it is made anew after a crash. */
function callsOn(file: string, trace: string): readonly Call[] {
  return trace.split("\n").flatMap((line): Call[] => {
    if (line.includes("write(1<") && line.includes("persisted ")) return ["acknowledge"];
    const which = line.includes(`<${file}>`) ? "file" : line.includes(`<${file}-wal>`) ? "log" : undefined;
    if (which === undefined) return [];
    if (line.includes("pwrite64(")) return [`write ${which}`];
    return line.includes("sync(") && line.endsWith("= 0") ? [`sync ${which}`] : [];
  });
}

/** Where, in the calls, something was acknowledged while a write was not synced. */
function acknowledgedUnsynced(calls: readonly Call[]): readonly number[] {
  return [...calls.keys()].filter(
    (index) =>
      calls[index] === "acknowledge" &&
      (calls.lastIndexOf("write log", index) > calls.lastIndexOf("sync log", index) ||
        calls.lastIndexOf("write file", index) > calls.lastIndexOf("sync file", index)),
  );
}

function requireStrace(context: TestContext): void {
  if (spawnSync("strace", ["-V"]).error === undefined) return;
  if (process.env["REQUIRE_SERVICES"] === "1") throw new Error("strace is not installed, and REQUIRE_SERVICES=1 asks for it");
  context.skip("strace is not installed");
}
