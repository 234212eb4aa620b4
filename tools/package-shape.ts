import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { entryModules, packPackages, type Tarball } from "./packages.ts";
import { runCommand } from "./run-command.ts";

const allowed: RegExp = /^(LICENSE|README\.md|CHANGELOG\.md|package\.json|dist\/.+\.(js|js\.map|d\.ts))$/;

/** What is missing from a package, and what has no business in it; one line each. */
export function wrongContents({ manifest, contents }: Pick<Tarball, "manifest" | "contents">): readonly string[] {
  const { name } = manifest;
  const entries = [...entryModules(manifest).keys()].flatMap((module) => [module.replace(/\.js$/, ".d.ts"), module]);
  const expected = ["LICENSE", "README.md", ...entries, "package.json"];
  const missing = expected.filter((file) => !contents.includes(file)).map((file) => `${name}: ${file} is missing from the package`);
  const surplus = contents.filter((file) => !allowed.test(file)).map((file) => `${name}: ${file} does not belong into the package`);
  return [...missing, ...surplus];
}

/** Everything that is wrong with a packed package: its contents, its manifest, and how its types resolve. */
async function checkShape(tarball: Tarball): Promise<readonly string[]> {
  const manifest = await runCommand(["publint", "run", tarball.file, "--strict"]);
  const types = await runCommand(["attw", tarball.file, "--profile", "esm-only", "--no-definitely-typed", "--no-emoji"]);
  const reports = [manifest, types].filter((outcome) => !outcome.ok).map((outcome) => outcome.output);
  return [...wrongContents(tarball), ...reports];
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), "event-driver-packages-"));
  try {
    const tarballs = await packPackages(folder);
    const problems = (await Promise.all(tarballs.map(checkShape))).flat();
    for (const problem of problems) process.stdout.write(`${problem}\n`);
    process.stdout.write(`${tarballs.length} packages, ${problems.length} problems\n`);
    process.exitCode = tarballs.length > 0 && problems.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
