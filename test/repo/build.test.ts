import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

import { bundleEntries } from "../../tools/build.ts";
import { projectRoot } from "../../tools/run-command.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const sources = {
  "package.json": JSON.stringify({
    name: "counting",
    version: "1.0.0",
    type: "module",
    exports: {
      ".": { "@event-driver/source": "./src/index.ts", default: "./dist/index.js" },
      "./deep": { "@event-driver/source": "./src/deep/index.ts", default: "./dist/deep/index.js" },
      "./package.json": "./package.json",
    },
  }),
  "tsconfig.build.json": "{}",
  "src/count.ts": "let count = 0;\nexport function countOn(): number {\n  return ++count;\n}\n",
  "src/index.ts": 'export { countOn } from "./count.ts";\n',
  "src/deep/index.ts":
    'import { countOn } from "../count.ts";\nimport { sep } from "node:path";\nexport const countDeeper = (): string => sep + countOn();\n',
};

test("what a module remembers exists once, whichever entry it is reached by", async () => {
  const folder = temporaryFolder(sources);

  await bundleEntries({ folder });

  const { countOn } = await load(folder, "dist/index.js");
  const { countDeeper } = await load(folder, "dist/deep/index.js");
  expect([countOn?.(), countDeeper?.(), countOn?.()]).toEqual([1, "/2", 3]);
});

test("modules can be built into another folder than dist", async () => {
  const folder = temporaryFolder(sources);

  await bundleEntries({ folder, outFolder: join(folder, "elsewhere") });

  expect(await load(folder, "elsewhere/deep/index.js")).toHaveProperty("countDeeper");
});

test("importing event-driver loads a handful of modules: its own, and what it shares with the other entries", async () => {
  const outFolder = temporaryFolder({});

  await bundleEntries({ folder: projectRoot, outFolder });

  const shared = importsOf(join(outFolder, "index.js"));
  expect(shared.length).toBeGreaterThan(0);
  expect(shared.length).toBeLessThan(8);
  for (const module of shared) expect(shared).toEqual(expect.arrayContaining([...importsOf(join(outFolder, module))]));
});

/** Everything a built module names in an import. */
function importsOf(file: string): readonly string[] {
  return [
    ...readFileSync(file, "utf8").matchAll(/^(?:import|export) [^;]*?from "([^"]+)";|^import "([^"]+)";|\bimport\("([^"]+)"\)/gm),
  ].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "");
}

function load(folder: string, module: string): Promise<Record<string, (() => unknown) | undefined>> {
  return import(pathToFileURL(join(folder, module)).href);
}
