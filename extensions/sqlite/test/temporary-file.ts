import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A path in a folder of its own, where nothing is yet. It is removed with all that stands beside it when the test has ended. */
export function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "event-driver-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "orders.db");
}
