import { describe, expect, test } from "vitest";

import { brokers } from "../src/open.ts";
import { inOneLine, printable, withoutSecrets } from "../src/one-line.ts";
import { ranInMemory } from "./children/memory.ts";
import { configFile, objectsIn, runHere } from "./run-program.ts";

const onMemory = (...args: readonly string[]) =>
  runHere(["dead-letters", ...args, "--config", configFile("memory"), "--stream", "orders-failed", "--idle", "300"]);

describe("a dead-letter stream", () => {
  test("is listed", async () => {
    const outcome = await onMemory("list", "--json");

    expect(outcome.code).toBe(0);
    expect(objectsIn(outcome)).toMatchObject([
      { id: "o-1", key: "k-1", source: "shop", code: "ERR_TERMINAL", attempts: 1 },
      { id: "o-2", key: "k-2" },
    ]);
    expect(outcome.stdout).not.toContain("4711");
  });

  test("is requeued to where the messages came from, and they run again", async () => {
    const { code, stdout } = await onMemory("requeue", "--key", "k-2");

    expect(code).toBe(0);
    expect(stdout).toBe("1 requeued, 0 skipped, 0 failed\n");
    expect(ranInMemory()).toEqual(["o-2"]);
  });

  test("is dropped from", async () => {
    expect(await onMemory("drop", "o-1", "--yes", "--json")).toMatchObject({ code: 0, stdout: '{"dropped":1,"selected":1,"places":0}\n' });
  });
});

describe("what makes no sense ends with code 2 and one line that says what to do", () => {
  test.each([
    [["list"], "error: say where the dead letters are: --connection URL --stream NAME, or --store sqlite:FILE\n"],
    [["list", "--stream", "s"], "error: --stream needs the broker that it is at: give --connection or --config\n"],
    [["list", "--store", "redis:x"], "error: --store redis:x is not known; take sqlite:FILE, or --config\n"],
    [["list", "--connection", "ftp://me:secret@host/?token=1"], "error: --connection ftp://host/ is of no known broker; take one of "],
    [["list", "--limit", "0"], "error: option '--limit <number>' argument '0' is invalid. It must be a whole number from 1.\n"],
    [
      ["list", "--since", "noon"],
      "error: option '--since <time>' argument 'noon' is invalid. It must be a time, as 2026-01-31T12:00:00Z.\n",
    ],
    [["requeue", "--rate", "-1"], "error: option '--rate <number>' argument '-1' is invalid. It must be a number above 0.\n"],
    [["drop", "--missing", "--store", "sqlite:/nowhere/at/all.db"], "error: "],
    [["sweep"], "error: unknown command 'sweep'"],
  ])("%j", async (args, expected) => {
    const { code, stdout, stderr } = await runHere(["dead-letters", ...args]);

    expect(stderr.startsWith(expected)).toBe(true);
    expect(stderr.split("\n")).toHaveLength(2);
    expect(stdout).toBe("");
    expect(code).toBe(args.includes("sqlite:/nowhere/at/all.db") ? 1 : 2);
  });
});

test("the package of every scheme has the factory that is called", { timeout: 60_000 }, async () => {
  for (const { package: name, factory } of brokers.values()) {
    const adapter: Readonly<Record<string, unknown>> = await import(name);
    expect(adapter[factory], `${factory} of ${name}`).toBeTypeOf("function");
  }
});

test("help is no failure", async () => {
  const { code, stdout } = await runHere(["dead-letters", "--help"]);

  expect(code).toBe(0);
  expect(stdout).toContain("requeue");
});

test.each([
  ["nats://me:secret@host:4222/path?token=1#x", "nats://host:4222/path"],
  ["see pulsar+ws://token@host and amqp://a:b@c:1/v", "see pulsar+ws://host and amqp://c:1/v"],
  ["nothing at all", "nothing at all"],
  ["mail me@host", "mail me@host"],
])("an address is shown without its secrets: %s", (text, expected) => {
  expect(withoutSecrets(text)).toBe(expected);
});

test("an error is told in one line, with its causes", () => {
  const error = new Error("it failed\nat last", { cause: new Error("kafka://u:p@host did not answer") });

  expect(inOneLine(error)).toBe("it failed at last: kafka://host did not answer");
  expect(inOneLine("text")).toBe("text");
});

test("what could move the cursor is written out", () => {
  expect(printable("a\u001b[2Jb\u202ec\td")).toBe(String.raw`a\u001b[2Jb\u202ec\u0009d`);
});
