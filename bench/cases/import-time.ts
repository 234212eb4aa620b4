import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import type { RunCase } from "../harness/result.ts";

import { bundleEntries } from "../../tools/build.ts";
import { projectRoot } from "../../tools/run-command.ts";
import { alternate, measurements } from "../harness/alternate.ts";
import { startChild } from "../harness/child.ts";
import { check } from "../harness/result.ts";
import { temporaryFolder } from "../harness/temporary-folder.ts";

const ours = "event-driver, as it is published";
const empty = "an empty module";

/** A new process for each import, for the second one of a process costs nothing. The files are in the cache of the file system after the warm-up. */
export const importTime: RunCase = async ({ quick }) => {
  const folder = temporaryFolder();
  // Into a folder of our own: the project's dist may be in use, or old.
  await bundleEntries({ folder: projectRoot, outFolder: folder });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  writeFileSync(join(folder, "empty.js"), "export {};\n");

  const samples = await alternate(
    [
      { name: ours, round: () => timeToImport(join(folder, "index.js")) },
      { name: empty, round: () => timeToImport(join(folder, "empty.js")) },
    ],
    { warmUp: 2, measured: quick ? 7 : 31 },
  );

  const empties = samples.get(empty) ?? [];
  const differences = (samples.get(ours) ?? []).map((time, round) => time - (empties[round] ?? Number.NaN));
  return {
    measurements: measurements(samples, "ms CPU"),
    checks: [check(`time of ${ours} - ${empty}`, differences, "ms CPU", { most: 30 })],
  };
};

async function timeToImport(file: string): Promise<number> {
  const child = startChild(new URL("../children/import.ts", import.meta.url), [pathToFileURL(file).href]);
  return Number(await child.hear());
}
