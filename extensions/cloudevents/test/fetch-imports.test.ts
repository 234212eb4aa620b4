import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const core = new URL("../../../src/index.ts", import.meta.url);

test.each(["bindings", "fetch", "oidc"])("nothing that /%s imports comes from Node", (entry) => {
  const graph = importGraph(new URL(`../src/${entry}/index.ts`, import.meta.url));

  expect(graph.files.size).toBeGreaterThan(30);
  expect([...graph.outside].filter(isBuiltin)).toEqual([]);
});

test("/bindings needs no package but the core", () => {
  expect([...importGraph(new URL("../src/bindings/index.ts", import.meta.url)).outside]).toEqual([]);
});

test("the same walk finds what the receiver imports from Node", () => {
  expect([...importGraph(new URL("../src/receive/receiver.ts", import.meta.url)).outside].filter(isBuiltin)).toContain("node:http");
});

interface ImportGraph {
  readonly files: ReadonlySet<string>;
  /** What is imported by name and is neither this package nor the core. */
  readonly outside: ReadonlySet<string>;
}

/** Every file that is loaded with a file; types are not. */
function importGraph(entry: URL): ImportGraph {
  const files = new Set<string>();
  const outside = new Set<string>();
  const pending = [entry];
  for (let url = pending.pop(); url !== undefined; url = pending.pop()) {
    const file = fileURLToPath(url);
    if (files.has(file) || !existsSync(file)) continue;
    files.add(file);
    for (const specifier of importsOf(readFileSync(file, "utf8"))) {
      if (specifier.startsWith(".")) pending.push(new URL(specifier, url));
      else if (specifier === "event-driver") pending.push(core);
      else outside.add(specifier);
    }
  }
  return { files, outside };
}

function importsOf(source: string): readonly string[] {
  const statements = source.matchAll(
    /^(?:import|export) (?!type |interface |const |function |class |async )[^;]*?from "([^"]+)";|^import "([^"]+)";/gm,
  );
  return [...statements].map(([, from, bare]) => from ?? bare ?? "");
}
