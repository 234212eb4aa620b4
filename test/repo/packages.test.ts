import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { asCommonJs, firstSnippet, importedPackages } from "../../tools/consumer.ts";
import { wrongContents } from "../../tools/package-shape.ts";
import { entryModules, entryPoints, type EntryTargets, findPackages } from "../../tools/packages.ts";
import { projectRoot } from "../../tools/run-command.ts";

const packages = findPackages();

/** What a client library asks for, where that is more than the core does. */
const newerNode: Readonly<Record<string, string>> = { "@event-driver/kafka": ">=22.22" };

test("the core and the extensions are packages", () => {
  expect(packages.map(({ manifest }) => manifest.name)).toEqual(
    expect.arrayContaining(["event-driver", "@event-driver/cloudevents", "@event-driver/sqlite"]),
  );
});

test.each(packages)("$manifest.name says what it is, under which licence, and what it packs", ({ manifest }) => {
  expect(manifest).toMatchObject({ license: "MIT", type: "module", description: expect.stringMatching(/.{20,}/) });
  expect(manifest.engines).toEqual({ node: newerNode[manifest.name] ?? packages[0]?.manifest.engines?.["node"] });
  expect(manifest.files).toContain("dist");
});

test.each(packages)("$manifest.name exports each entry from its sources, from its build, and its package.json", ({ manifest, folder }) => {
  const { "./package.json": own, ...entries } = manifest.exports ?? {};

  expect(own).toBe("./package.json");
  expect(Object.keys(entries)).not.toEqual([]);
  for (const [name, targets] of Object.entries(entries)) {
    // The program of a command line is no folder of its own.
    const path = name === "." ? "index" : name === "./main" ? "main" : `${name.slice(2)}/index`;
    expect(targets).toEqual(entry(path));
    expect(existsSync(join(projectRoot, folder, "src", `${path}.ts`)), `${folder}/src/${path}.ts`).toBe(true);
  }
});

test.each(packages)("$manifest.name has a README and the project's licence", ({ folder }) => {
  expect(readFileSync(join(projectRoot, folder, "README.md"), "utf8")).toMatch(/^# /);
  expect(readFileSync(join(projectRoot, folder, "LICENSE"), "utf8")).toBe(readFileSync(join(projectRoot, "LICENSE"), "utf8"));
});

test("all packages have one version, which every extension accepts as its core", () => {
  const [core, ...extensions] = packages.map(({ manifest }) => manifest);

  expect(extensions.map((manifest) => manifest.version)).toEqual(extensions.map(() => core?.version));
  expect(extensions.map((manifest) => manifest.peerDependencies?.["event-driver"])).toEqual(extensions.map(() => `^${core?.version}`));
});

test("entry points are what users write in an import", () => {
  const entries = entryPoints({
    name: "@a/b",
    version: "1.0.0",
    exports: { ".": entry("index"), "./testing": entry("testing/index"), "./package.json": "./package.json" },
  });

  expect(entries).toEqual(["@a/b", "@a/b/testing"]);
});

test("each entry names the module that is built of its source", () => {
  const modules = entryModules({
    name: "@a/b",
    version: "1.0.0",
    exports: { ".": entry("index"), "./testing": entry("testing/index"), "./package.json": "./package.json" },
  });

  expect([...modules]).toEqual([
    ["dist/index.js", "src/index.ts"],
    ["dist/testing/index.js", "src/testing/index.ts"],
  ]);
});

test("a package that lacks a file or carries one too many is told", () => {
  const contents = [
    "LICENSE",
    "package.json",
    "dist/index.js",
    "dist/index.d.ts",
    "dist/index.js.map",
    "dist/deep/index.js",
    "src/index.ts",
    "dist/a.tsbuildinfo",
  ];
  const manifest = { name: "one", version: "1.0.0", exports: { ".": entry("index"), "./deep": entry("deep/index") } };

  expect(wrongContents({ manifest, contents })).toEqual([
    "one: README.md is missing from the package",
    "one: dist/deep/index.d.ts is missing from the package",
    "one: src/index.ts does not belong into the package",
    "one: dist/a.tsbuildinfo does not belong into the package",
  ]);
});

test("the first snippet of the README must exist and run", () => {
  expect(firstSnippet("```ts\none();\n```\n```ts\ntwo();\n```\n")).toBe("one();\n");
  expect(() => firstSnippet("# Title\n")).toThrow("no snippet");
  expect(() => firstSnippet("```ts no-run: a server\none();\n```\n")).toThrow("README.md:2: the first snippet must be one that runs");
});

test("the packages of a snippet are found in imports of every form", () => {
  const code = `import { a } from "event-driver";
import {
  b,
  c as d,
} from "@event-driver/sqlite/deep";
import type { E } from "zod";
import "pino";
import fs from "node:fs";
import { join } from "path";
import { own } from "./own.ts";
const text = 'import "not-this"';
`;

  expect(importedPackages(code)).toEqual(["@event-driver/sqlite", "event-driver", "pino", "zod"]);
});

test("a program for CommonJS requires what the module imports and may await at the top level", async () => {
  const code = `import { createMessage as create } from "event-driver";
import type { Message } from "event-driver";

const message: Message = await Promise.resolve(create({ key: "1", source: "a", content: "{}" }));
`;

  const output = await asCommonJs(code);

  expect(output).toContain('require("event-driver")');
  expect(output).not.toMatch(/^import /m);
  expect(output).toContain("await Promise.resolve(");
});

function entry(path: string): EntryTargets {
  return { "@event-driver/source": `./src/${path}.ts`, default: `./dist/${path}.js` };
}
