import type { EventStore } from "event-driver";

import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { sqliteEventStore } from "@event-driver/sqlite";

import { commandOf, output, outputUntilKilled } from "./children/run-child.ts";
import { temporaryFile } from "./temporary-file.ts";

test("several processes that begin with no file, race for the same entries and lose no update", async () => {
  const file = temporaryFile();
  const names = ["a", "b", "c", "d"];

  const reports = await Promise.all(names.map((name) => claimOrders(file, name)));

  const winners = reports.flatMap(({ won }) => won);
  const revisions = reports.flatMap((report) => report.revisions);
  expect(winners.toSorted()).toEqual(Array.from({ length: 200 }, (_, index) => `order-${index}`).toSorted());
  expect(new Set(revisions).size).toBe(200 + 4 * 50);
  const store = opened(file);
  expect((await store.lookUp("counter", "count"))?.message.content).toBe("200");
  for (const [index, { won }] of reports.entries()) {
    for (const key of won) expect((await store.lookUp(key, "claim"))?.message.content).toBe(names[index]);
  }
});

test("processes killed while they write leave an intact file that holds all they had acknowledged", async () => {
  const file = temporaryFile();

  for (const round of [1, 2, 3]) {
    const runs = ["a", "b"].map((name) => outputUntilKilled(commandOf("persist-and-say", file, `${name}${round}`, "100000"), 40 * round));
    const acknowledged = (await Promise.all(runs)).flat().map((line) => line.replace("persisted ", ""));

    const store = opened(file);
    const found = await Promise.all(acknowledged.map((key) => store.lookUp(key, "event1")));
    expect(found.map((entry) => entry?.message.key)).toEqual(acknowledged);
    expect(acknowledged.length).toBeGreaterThanOrEqual(80 * round);
    await store.close();
  }
  expect(integrityOf(file)).toBe("ok");
});

async function claimOrders(file: string, name: string): Promise<{ readonly won: string[]; readonly revisions: string[] }> {
  return JSON.parse(await output(commandOf("claim-orders", file, name, "200", "50")));
}

function opened(file: string): EventStore {
  const store = sqliteEventStore({ file });
  onTestFinished(() => store.close());
  return store;
}

function integrityOf(file: string): unknown {
  const reader = new DatabaseSync(file, { readOnly: true });
  try {
    return reader.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
  } finally {
    reader.close();
  }
}
