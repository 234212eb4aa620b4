import { sqliteEventStore } from "@event-driver/sqlite";
import { createContext, createMessage, deadLetter, pipeline, TerminalError } from "event-driver";
import { parkedKeys } from "event-driver/dead-letters";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { configFile, objectsIn, type Outcome, runHere, runProcess } from "./run-program.ts";

let folder = "";
let file = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "event-driver-cli-"));
  file = join(folder, "orders.db");
});

afterEach(() => rmSync(folder, { recursive: true }));

const onStore = (...args: readonly string[]) => runHere(["dead-letters", ...args, "--store", `sqlite:${file}`]);

function onShop(args: readonly string[], refuses = ""): Promise<Outcome> {
  vi.stubEnv("SHOP_FILE", file);
  vi.stubEnv("SHOP_REFUSES", refuses);
  return runHere(["dead-letters", ...args, "--config", configFile("shop")]);
}

test("the program is a process that a shell can start, and its exit code says how it went", { timeout: 60_000 }, async () => {
  await putAside({ ids: ["a1", "a2"], park: true });
  const run = (...args: readonly string[]) =>
    runProcess(["dead-letters", ...args, "--config", configFile("shop")], { SHOP_FILE: file, SHOP_REFUSES: "" });

  expect(await run("show", "a3")).toMatchObject({ code: 1, stdout: "", stderr: "error: no dead letter of message a3 is here\n" });
  expect(await run("requeue")).toMatchObject({ code: 0, stdout: "2 requeued, 0 skipped, 0 failed\n" });
  expect(await run("list", "--limit", "none")).toMatchObject({ code: 2, stdout: "" });
  expect(readFileSync(`${file}.log`, "utf8")).toBe("a1\na2\n");
});

describe("list", () => {
  test("shows one line for each, and nothing of the content", async () => {
    await putAside({ ids: ["a1", "b1"] });

    const { code, stdout } = await onStore("list");

    expect(code).toBe(0);
    expect(stdout.split("\n").filter(Boolean)).toHaveLength(2);
    expect(stdout).toMatch(/^\S+Z shop a1 key=a ERR_TERMINAL stage="stage 1" attempts=1$/m);
    expect(stdout).not.toContain("4711");
  });

  test("shows the content when it is asked for", async () => {
    await putAside({ ids: ["a1"] });

    const outcome = await onStore("list", "--json", "--content");

    expect(objectsIn(outcome)).toMatchObject([{ id: "a1", key: "a", source: "shop", code: "ERR_TERMINAL", content: "card 4711" }]);
  });

  test("selects by key, source, error and time, and stops at a limit", async () => {
    await putAside({ ids: ["a1", "b1", "c1"] });
    const idsOf = async (...args: readonly string[]) => objectsIn(await onStore("list", "--json", ...args)).map(({ id }) => id);

    expect(await idsOf("--key", "b")).toEqual(["b1"]);
    expect(await idsOf("--source", "elsewhere")).toEqual([]);
    expect(await idsOf("--error", "ERR_TERMINAL", "--limit", "2")).toHaveLength(2);
    expect(await idsOf("--until", "2020-01-01")).toEqual([]);
    expect(await idsOf("--since", "2020-01-01")).toHaveLength(3);
  });

  test("writes out what could fool a terminal", async () => {
    await putAside({ ids: ["a\u001b[31m\n"] });

    const { stdout } = await onStore("list");

    expect(stdout).toContain(String.raw`"a\u001b[31m\n"`);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("show", () => {
  test("shows all that is known, and the content only when it is asked for", async () => {
    await putAside({ ids: ["a1"] });

    const without = await onStore("show", "a1");
    const [withContent] = objectsIn(await onStore("show", "a1", "--content", "--json"));

    expect(without.stdout).toContain('attributes: {"traceparent":"t"}');
    expect(without.stdout).not.toContain("4711");
    expect(withContent).toMatchObject({ content: "card 4711", error: expect.stringContaining("refused: 4711") });
  });

  test("says which ids it has not found", async () => {
    await putAside({ ids: ["a1"] });

    const { code, stderr } = await onStore("show", "a1", "a2");

    expect(code).toBe(1);
    expect(stderr).toBe("error: no dead letter of message a2 is here\n");
  });
});

describe("requeue", () => {
  test("runs a parked key in order, and a second time does nothing", async () => {
    await putAside({ ids: ["a1", "a2", "a3"], park: true });

    const first = await onShop(["requeue"]);
    const second = await onShop(["requeue", "--json"]);

    expect(first).toMatchObject({ code: 0, stdout: "3 requeued, 0 skipped, 0 failed\n" });
    expect(objectsIn(second)).toEqual([{ requeued: 0, skipped: 0, failed: 0, more: false, dryRun: false }]);
    expect(readFileSync(`${file}.log`, "utf8")).toBe("a1\na2\na3\n");
  });

  test("says what failed again, without its content, and leaves it", async () => {
    await putAside({ ids: ["a1", "a2"], park: true });

    const { code, stdout, stderr } = await onShop(["requeue"], "a1");

    expect(code).toBe(1);
    expect(stdout).toBe("0 requeued, 0 skipped, 1 failed\n");
    expect(stderr).toMatch(/^error: a1 of key a: .+\n$/);
    expect(stderr).not.toContain("4711");
    expect(objectsIn(await onStore("list", "--json"))).toHaveLength(2);
  });

  test("only counts when it is a dry run", async () => {
    await putAside({ ids: ["a1", "b1"] });

    const { stdout } = await onShop(["requeue", "--dry-run", "--limit", "1"]);

    expect(stdout).toBe("1 would be requeued, 0 skipped, 0 failed; there may be more\n");
    expect(objectsIn(await onStore("list", "--json"))).toHaveLength(2);
  });

  test("asks where to, when it is not said", async () => {
    await putAside({ ids: ["a1"] });

    const { code, stderr } = await onStore("requeue");

    expect(code).toBe(2);
    expect(stderr).toBe("error: say where they go: --connection URL --to STREAM, or --config with a file that exports the pipeline\n");
  });
});

describe("drop", () => {
  test("removes nothing without --yes", async () => {
    await putAside({ ids: ["a1"] });

    const { code, stdout } = await onStore("drop", "a1");

    expect(code).toBe(0);
    expect(stdout).toContain("1 would be dropped; say --yes to do it\n");
    expect(objectsIn(await onStore("list", "--json"))).toHaveLength(1);
  });

  test("of the first one of a parked key lets go what waits behind it", async () => {
    await putAside({ ids: ["a1", "a2"], park: true });

    await onStore("drop", "a1", "--yes");
    await onShop(["requeue"]);

    expect(readFileSync(`${file}.log`, "utf8")).toBe("a2\n");
  });

  test("gives up the places of what has expired only when it is told to", async () => {
    await putAside({ ids: ["a1", "a2"], park: true });
    await expire("a1", "a");

    const stuck = await onShop(["requeue"]);
    const { stdout } = await onStore("drop", "no-such-id", "--key", "a", "--missing", "--yes");
    await onShop(["requeue"]);

    expect(stuck.stderr).toContain("when it will not come, skip it");
    expect(stdout).toBe("0 dropped, and 1 places given up\n");
    expect(readFileSync(`${file}.log`, "utf8")).toBe("a2\n");
  });
});

/** Puts messages aside as a service does. Each is of the key that its id begins with; with `park`, what follows the first one of a key waits. */
async function putAside({ ids, park = false }: { readonly ids: readonly string[]; readonly park?: boolean }): Promise<void> {
  const store = sqliteEventStore({ file });
  const shop = pipeline()
    .use(deadLetter({ store, ...(park && { parkKey: parkedKeys({ store }) }) }))
    .use(() => Promise.reject(new TerminalError("refused: 4711")));
  for (const id of ids) {
    const message = createMessage({ id, key: id.slice(0, 1), source: "shop", content: "card 4711", attributes: { traceparent: "t" } });
    await shop.process(createContext(), message);
  }
  await store.close();
}

async function expire(id: string, key: string): Promise<void> {
  const store = sqliteEventStore({ file });
  await store.scope("dead-letters").remove(key, JSON.stringify(["shop", id]));
  await store.close();
}
