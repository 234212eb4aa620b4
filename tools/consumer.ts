import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { transform } from "esbuild";

import { entryPoints, findPackages, type Manifest, type Package, packPackages, type Tarball } from "./packages.ts";
import { projectRoot, runCommand } from "./run-command.ts";
import { snippetsOf } from "./snippets.ts";

const typeCheck = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
    moduleDetection: "force",
  },
  include: ["snippet.ts"],
};

/** One import statement, of one line or several. */
const importStatement: RegExp = /^import\s(?:[^;"]*?\sfrom\s)?\s*"(?<specifier>[^"]+)";?[ \t]*$/gm;

/**
 * The first snippet of the README, which is what a new user copies first.
 *
 * @throws Error when there is none, or when it is only for reading
 */
export function firstSnippet(readme: string): string {
  const [first] = snippetsOf("README.md", readme);
  if (first === undefined) throw new Error("README.md has no snippet fenced as ts");
  if (first.notRun !== undefined) throw new Error(`README.md:${first.line}: the first snippet must be one that runs`);
  return first.code;
}

/** The packages a module imports, without those that come with Node. */
export function importedPackages(code: string): readonly string[] {
  const specifiers = [...code.matchAll(importStatement)].map((match) => match.groups?.["specifier"] ?? "");
  const bare = specifiers.filter((specifier) => !/^(\.|node:)/.test(specifier) && !builtinModules.includes(specifier));
  return [...new Set(bare.map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier))].toSorted();
}

/** The same program for CommonJS: its imports become `require`, and what it awaits at the top level moves into a function. */
export async function asCommonJs(code: string): Promise<string> {
  const imports = [...code.matchAll(importStatement)].map(([statement]) => statement);
  const body = code.replaceAll(importStatement, "");
  const { code: output } = await transform(`${imports.join("\n")}\nasync function main() {\n${body}\n}\nmain();\n`, {
    loader: "ts",
    format: "cjs",
    platform: "node",
    target: "node22",
  });
  return output;
}

/** Writes a project that depends on nothing but the packed packages and what the snippet imports, and installs it as a user would. */
async function install(folder: string, packages: readonly Package[], tarballs: readonly Tarball[], snippet: string): Promise<void> {
  const packed = tarballs.map((tarball) => [tarball.manifest.name, `file:${tarball.file}`]);
  const versions = Object.assign({}, ...packages.map(({ manifest }) => manifest.devDependencies));
  const others = [...importedPackages(snippet), ...optionalPeers(packages), "@types/node"]
    .filter((name) => !tarballs.some((tarball) => tarball.manifest.name === name))
    .map((name) => [name, versions[name] ?? fail(`a consumer needs ${name}, which no package.json of the project has`)]);
  const dependencies = Object.fromEntries([...packed, ...others]);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module", dependencies }, null, 2));

  const installed = await runCommand(["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"], {
    cwd: folder,
  });
  if (!installed.ok) fail(`npm install of the packed packages ${installed.reason}:\n${installed.output}`);
}

/** What npm installs only for those who ask for it, and an entry point may need. */
function optionalPeers(packages: readonly Package[]): readonly string[] {
  return packages.flatMap(({ manifest }) =>
    Object.entries(manifest.peerDependenciesMeta ?? {}).flatMap(([name, { optional }]) => (optional ? [name] : [])),
  );
}

/** The programs a consumer runs, each with what it proves. */
async function writePrograms(folder: string, packages: readonly Package[], snippet: string): Promise<ReadonlyMap<string, string>> {
  const entries = packages.flatMap(({ manifest }) => entryPoints(manifest));
  const programs = new Map([
    ["entries.mjs", entries.map((entry) => `await import("${entry}");\n`).join("")],
    ["entries.cjs", entries.map((entry) => `require("${entry}");\n`).join("")],
    ["snippet.ts", snippet],
    ["snippet.cjs", await asCommonJs(snippet)],
  ]);
  for (const [file, text] of programs) writeFileSync(join(folder, file), text);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(typeCheck));
  return new Map([
    ["entries.mjs", `all ${entries.length} entry points imported`],
    ["entries.cjs", `all ${entries.length} entry points required`],
    ["snippet.ts", "the README's first snippet as an ES module"],
    ["snippet.cjs", "the README's first snippet as CommonJS"],
  ]);
}

/** The Node that runs this, and the one that `npm run test:node22` names. */
async function findNodes(manifest: Manifest | undefined, folder: string): Promise<readonly string[]> {
  const [, older] = /--package=(node@[\d.]+)/.exec(manifest?.scripts?.["test:node22"] ?? "") ?? [];
  if (older === undefined) return fail("the script test:node22 names no version of Node");
  const found = await runCommand(["npm", "exec", "--yes", `--package=${older}`, "--", "node", "-p", "process.execPath"], { cwd: folder });
  if (!found.ok) fail(`${older} could not be fetched: npm exec ${found.reason}\n${found.output}`);
  return [process.execPath, found.stdout.trim()];
}

async function consume(folder: string): Promise<void> {
  const snippet = firstSnippet(readFileSync(join(projectRoot, "README.md"), "utf8"));
  const packages = findPackages();
  const tarballs = await packPackages(folder);
  await install(folder, packages, tarballs, snippet);
  const programs = await writePrograms(folder, packages, snippet);

  const types = await runCommand(["tsc", "--pretty", "false", "-p", join(folder, "tsconfig.json")], { cwd: folder });
  if (!types.ok) fail(`a consumer cannot compile the README's first snippet:\n${types.output}`);
  process.stdout.write("a consumer compiles the README's first snippet, and every declaration it reaches\n");

  for (const node of await findNodes(packages[0]?.manifest, folder)) {
    const version = await runCommand([node, "-p", "process.version"]);
    for (const [program, meaning] of programs) {
      const { ok, reason, output } = await runCommand([node, "--disable-warning=ExperimentalWarning", program], {
        cwd: folder,
        timeLimit: 30_000,
      });
      if (!ok) fail(`${meaning} ${reason} on Node ${version.stdout.trim()}:\n${output}`);
      process.stdout.write(`${meaning}: works on Node ${version.stdout.trim()}\n`);
    }
  }
}

function fail(message: string): never {
  throw new Error(message);
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), "event-driver-consumer-"));
  try {
    await consume(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
