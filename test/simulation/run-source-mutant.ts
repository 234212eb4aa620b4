import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

import { type SourcePatch, sourcePatches } from "./source-mutants.ts";

/**
 * Runs in a process of its own: patches the source while it is loaded, hunts for the mutant that this makes, and writes what it caught as JSON.
 *
 * node -C @event-driver/source test/simulation/run-source-mutant.ts NAME [SEEDS TO COUNT]
 */
const [name = "", seeds] = process.argv.slice(2);
const patches = sourcePatches[name];
if (patches === undefined) throw new Error(`no source mutant is called ${name}`);
patchWhileLoading(patches);

// Only now, since what is imported before the patch is loaded without it.
const { countShowing, hunt } = await import("./hunt.ts");
const { sourceMutants } = await import("./mutants.ts");
const mutant = sourceMutants.find((each) => each.name === name);
if (mutant === undefined) throw new Error(`mutants.ts does not say where ${name} shows`);
const result = seeds === undefined ? await hunt(mutant) : await countShowing(mutant, Number(seeds));
process.stdout.write(JSON.stringify(result ?? null));

function patchWhileLoading(all: readonly SourcePatch[]): void {
  const patched = new Map(
    [...Map.groupBy(all, ({ file }) => new URL(`../../src/${file}`, import.meta.url).href)].map(([url, ofFile]) => [
      url,
      patch(url, ofFile),
    ]),
  );
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const source = patched.get(url);
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
}

function patch(url: string, patchesOfFile: readonly SourcePatch[]): string {
  return patchesOfFile.reduce(
    (text, { find, replace }) => {
      const times = text.split(find).length - 1;
      if (times !== 1) throw new Error(`${url} has ${times} places like this, for a mutant it must be one: ${find}`);
      return text.replace(find, () => replace);
    },
    readFileSync(fileURLToPath(url), "utf8"),
  );
}
