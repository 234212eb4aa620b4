import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { expect, onTestFinished, test, type TestContext } from "vitest";
import { sqliteEventStore } from "@event-driver/sqlite";

import { commandOf, output } from "./children/run-child.ts";
import { temporaryFile } from "./temporary-file.ts";

test("a file that may only be read is refused", async () => {
  const file = temporaryFile();
  await sqliteEventStore({ file }).close();
  chmodSync(file, 0o444);
  chmodSync(dirname(file), 0o777);

  const report = await output(commandOf("open-and-persist", file, "--as-nobody"));

  expect(JSON.parse(report)).toEqual({ acknowledged: 0, code: "ERR_STORE_FAILED", retryable: false });
});

test("a folder that may only be read is refused", async () => {
  const file = temporaryFile();
  chmodSync(dirname(file), 0o555);

  const report = await output(commandOf("open-and-persist", file, "--as-nobody"));

  expect(JSON.parse(report)).toEqual({ acknowledged: 0, code: "ERR_STORE_FAILED", retryable: false });
});

test("on a full disk writes fail retryably, and everything acknowledged is there", async (context) => {
  const folder = smallDisk(context);
  const file = `${folder}/orders.db`;

  const report: { acknowledged: number } = JSON.parse(await output(commandOf("open-and-persist", file)));

  expect(report).toMatchObject({ code: "ERR_STORE_FULL", retryable: true });
  expect(report.acknowledged).toBeGreaterThan(10);
  const store = sqliteEventStore({ file });
  onTestFinished(() => store.close());
  for (let index = 0; index < report.acknowledged; index += 1) {
    expect((await store.lookUp(`order-${index}`, "event1"))?.message.content).toHaveLength(10_000);
  }
});

/** A file system of 2 MiB. */
function smallDisk(context: TestContext): string {
  const folder = `${dirname(temporaryFile())}/disk`;
  mkdirSync(folder);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "none", folder]).status === 0) {
    onTestFinished(() => void spawnSync("umount", [folder]));
    return folder;
  }
  if (process.env["REQUIRE_SERVICES"] === "1")
    throw new Error("a small file system could not be mounted, and REQUIRE_SERVICES=1 asks for it");
  return context.skip("a small file system could not be mounted: that needs root");
}
