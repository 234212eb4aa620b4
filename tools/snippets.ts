import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { fencedCode } from "./fenced-code.ts";
import { projectRoot, runCommand } from "./run-command.ts";

/** A TypeScript block of a page. Each stands alone: it imports all it uses, as a reader copies it. */
export interface Snippet {
  /** The page, relative to the project's root. */
  readonly page: string;
  /** Number of its first line in the page, counted from 1. */
  readonly line: number;
  readonly code: string;
  /** Why it is only type-checked; absent where it is run too. */
  readonly notRun?: string;
}

export interface SnippetOptions {
  /**
   * Milliseconds one snippet may run.
   * @default 20_000
   */
  readonly timeLimit?: number;
}

const pages: readonly string[] = ["README.md", "CONTRIBUTING.md", "docs/**/*.md", "extensions/*/README.md"];
const otherNames: readonly string[] = ["typescript", "tsx", "mts", "cts", "js", "javascript", "jsx", "mjs", "cjs"];

/**
 * The TypeScript blocks of a page: those fenced as `ts`, or as `ts no-run: REASON` to be type-checked but not run.
 *
 * @throws Error naming page and line of a fence that is neither, yet holds code that ought to be checked
 */
export function snippetsOf(page: string, markdown: string): readonly Snippet[] {
  return fencedCode(markdown).flatMap(({ info, code, line }): Snippet[] => {
    const [language = "", ...words] = info.split(/\s+/);
    if (otherNames.includes(language)) throw new Error(`${page}:${line}: code is fenced as ${language}; write ts, so that it is checked`);
    if (language !== "ts") return [];
    const snippet = { page, line: line + 1, code };
    const rest = words.join(" ");
    if (rest === "") return [snippet];
    const [, notRun] = /^no-run: (.+)$/.exec(rest) ?? [];
    if (notRun === undefined) throw new Error(`${page}:${line}: the fence says "${info}"; allowed are "ts" and "ts no-run: REASON"`);
    return [{ ...snippet, notRun }];
  });
}

/**
 * All snippets of the project's pages.
 *
 * @throws Error when README.md has none, for then nothing would be proven
 */
export function findSnippets(root: string = projectRoot): readonly Snippet[] {
  const snippets = globSync([...pages], { cwd: root, exclude: ["**/node_modules/**"] })
    .toSorted()
    .flatMap((page) => snippetsOf(page, readFileSync(join(root, page), "utf8")));
  if (!snippets.some((snippet) => snippet.page === "README.md")) throw new Error("README.md has no snippet fenced as ts");
  return snippets;
}

/**
 * Type-checks all of the snippets together, then runs one after another, each in a process and a folder of its own.
 * Returns one text for each that fails; their line numbers are those of the page.
 *
 * `folder` must lie inside the project, so that the packages are found from there.
 */
export async function checkSnippets(
  snippets: readonly Snippet[],
  folder: string,
  options: SnippetOptions = {},
): Promise<readonly string[]> {
  const files = snippets.map((snippet) => ({ snippet, file: join(folder, snippet.page, `line-${snippet.line}`, "snippet.ts") }));
  for (const { snippet, file } of files) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "\n".repeat(snippet.line - 1) + snippet.code);
  }
  writeFileSync(join(folder, "tsconfig.json"), typeCheckOnly(folder));

  const types = await runCommand(["tsc", "--pretty", "false", "-p", join(folder, "tsconfig.json")], { cwd: folder });
  if (!types.ok) return [types.output.replaceAll(/\/line-\d+\/snippet\.ts\((\d+),(\d+)\)/g, ":$1:$2")];

  const failures: string[] = [];
  for (const { snippet, file } of files) {
    if (snippet.notRun !== undefined) continue;
    const { ok, reason, output } = await runCommand(["node", "-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", file], {
      cwd: dirname(file),
      timeLimit: options.timeLimit ?? 20_000,
    });
    if (!ok) failures.push(`${snippet.page}:${snippet.line}: the snippet ${reason}\n${output}`);
  }
  return failures;
}

/** The project's own strictness, without the rules that only make sense for files that are built or maintained. */
function typeCheckOnly(folder: string): string {
  const compilerOptions = {
    noEmit: true,
    declaration: false,
    isolatedDeclarations: false,
    noUnusedLocals: false,
    moduleDetection: "force",
  };
  return JSON.stringify({
    extends: join(relative(folder, projectRoot), "tsconfig.base.json"),
    compilerOptions,
    include: ["**/snippet.ts"],
  });
}

if (import.meta.main) {
  const snippets = findSnippets();
  const folder = join(projectRoot, ".snippets");
  rmSync(folder, { recursive: true, force: true });
  const failures = await checkSnippets(snippets, folder);
  for (const failure of failures) process.stdout.write(`${failure}\n`);
  if (failures.length === 0) {
    rmSync(folder, { recursive: true });
    const run = snippets.filter((snippet) => snippet.notRun === undefined).length;
    process.stdout.write(`${snippets.length} snippets type-checked, ${run} of them run\n`);
  }
  process.exitCode = failures.length === 0 ? 0 : 1;
}
