import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { projectRoot } from "../../tools/run-command.ts";

/** A file that git tracks. */
export interface CommittedFile {
  /** Relative to the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Every file that git tracks and that has not been deleted since, as it is on disk. */
export function committedFiles(): readonly CommittedFile[] {
  // A build server's clone may belong to another user, which git would refuse to read.
  const listing = execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-z"], { cwd: projectRoot, encoding: "utf8" });
  return listing
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(projectRoot, path)))
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), "utf8") }));
}
