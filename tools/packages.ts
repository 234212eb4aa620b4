import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { projectRoot, runCommand } from "./run-command.ts";

/** What one entry of a package leads to, by the condition under which it is imported. Both paths begin with `./`. */
export interface EntryTargets {
  readonly "@event-driver/source": string;
  readonly default: string;
}

/** A package.json, as far as it is read here. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly type?: string;
  readonly files?: readonly string[];
  readonly exports?: Readonly<Record<string, string | EntryTargets>>;
  readonly engines?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

export interface Package {
  /** Relative to the project's root; `.` is the core. */
  readonly folder: string;
  readonly manifest: Manifest;
}

export interface Tarball {
  readonly manifest: Manifest;
  /** Absolute path of the .tgz file. */
  readonly file: string;
  /** What is in it, relative to the package. */
  readonly contents: readonly string[];
}

/** One entry of `npm pack --json`. */
interface PackReport {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Every package of the project, the core first. */
export function findPackages(root: string = projectRoot): readonly Package[] {
  return ["package.json", ...globSync("extensions/*/package.json", { cwd: root }).toSorted()].map((file) => ({
    folder: dirname(file),
    manifest: readManifest(join(root, file)),
  }));
}

/** What users import: `event-driver`, `event-driver/testing`, `@event-driver/sqlite` ... */
export function entryPoints({ name, exports = {} }: Manifest): readonly string[] {
  return Object.keys(exports)
    .filter((entry) => entry !== "./package.json")
    .map((entry) => name + entry.slice(1));
}

/** The sources that a package's entries begin with, by the module that is built of each: `dist/index.js` of `src/index.ts`. */
export function entryModules({ exports = {} }: Manifest): ReadonlyMap<string, string> {
  const targets = Object.values(exports).filter((target) => typeof target === "object");
  return new Map(targets.map((target) => [normalize(target.default), normalize(target["@event-driver/source"])]));
}

/**
 * Packs every package as npm would publish it, without building it first.
 *
 * @throws Error with npm's own words when that fails
 */
export async function packPackages(folder: string): Promise<readonly Tarball[]> {
  const outcome = await runCommand([
    "npm",
    "pack",
    "--workspaces",
    "--include-workspace-root",
    "--pack-destination",
    folder,
    "--json",
    "--silent",
  ]);
  if (!outcome.ok) throw new Error(`npm pack ${outcome.reason}:\n${outcome.output}`);
  const reports: readonly PackReport[] = JSON.parse(outcome.stdout);
  return findPackages().flatMap(({ manifest }) =>
    reports
      .filter((report) => report.name === manifest.name)
      .map(({ filename, files }) => ({ manifest, file: join(folder, filename), contents: files.map((file) => file.path) })),
  );
}

/** Reads a package.json. */
export function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, "utf8"));
}
