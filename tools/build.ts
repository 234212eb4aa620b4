import { rmSync } from "node:fs";
import { join, relative } from "node:path";

import { build } from "esbuild";

import { entryModules, readManifest } from "./packages.ts";
import { runCommand } from "./run-command.ts";

export interface BundleSettings {
  /** Absolute path of the package. */
  readonly folder: string;
  /**
   * Where the modules go.
   * @default the package's dist
   */
  readonly outFolder?: string;
}

/**
 * Writes one module for each entry of a package, and one for what several of them share: that exists once, whichever entries are imported.
 *
 * Everything that is not imported by a relative path stays an import. Names and lines stay as they are, so that a stack trace can be read.
 *
 * @throws what esbuild reports
 */
export async function bundleEntries({ folder, outFolder = join(folder, "dist") }: BundleSettings): Promise<void> {
  const entries = entryModules(readManifest(join(folder, "package.json")));
  await build({
    absWorkingDir: folder,
    entryPoints: [...entries].map(([module, source]) => ({ in: join(folder, source), out: relative("dist", module).replace(/\.js$/, "") })),
    outdir: outFolder,
    tsconfig: join(folder, "tsconfig.build.json"),
    chunkNames: "shared-[hash]",
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "neutral",
    format: "esm",
    target: "es2024",
    sourcemap: true,
  });
}

/**
 * Makes a package's dist anew: its modules, and a declaration file for each source.
 *
 * @throws Error with the compiler's own words, or what esbuild reports
 */
async function buildPackage(folder: string): Promise<void> {
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const declarations = await runCommand(["tsc", "-p", "tsconfig.build.json"], { cwd: folder });
  if (!declarations.ok) throw new Error(`tsc ${declarations.reason}:\n${declarations.output}`);
  await bundleEntries({ folder });
}

// In the folder of a package, as `npm run build` starts it.
if (import.meta.main) await buildPackage(process.cwd());
