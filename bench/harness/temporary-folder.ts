import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What Linux calls tmpfs; elsewhere no file system has this number. */
const memoryFileSystem = 0x01021994;

/** A folder of this process's own, gone when it exits. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "event-driver-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Notes for a run whose files lie in memory, where waiting for the disk costs nothing. */
export function notesOnDisk(folder: string): readonly string[] {
  if (statfsSync(folder).type !== memoryFileSystem) return [];
  return [`${tmpdir()} lies in memory, so no commit waited for a disk; set TMPDIR to a folder on one`];
}
