import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { projectRoot } from "../../tools/run-command.ts";
import { checkSnippets, findSnippets, snippetsOf } from "../../tools/snippets.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("the ts blocks of a page are its snippets, with the line each begins on", () => {
  const page = markdown(
    "# Title",
    "```ts",
    "one();",
    "```",
    "text",
    "```sh",
    "npm test",
    "```",
    "- item",
    "  ```ts no-run: needs a server",
    "  two();",
    "  ```",
  );

  const snippets = snippetsOf("page.md", page);

  expect(snippets).toEqual([
    { page: "page.md", line: 3, code: "one();\n" },
    { page: "page.md", line: 11, code: "two();\n", notRun: "needs a server" },
  ]);
});

test("a longer fence may show a shorter one without making it a snippet", () => {
  const page = markdown("````md", "```ts", "one();", "```", "````");

  expect(snippetsOf("page.md", page)).toEqual([]);
});

test.each([
  ["```ts no-run", 'page.md:1: the fence says "ts no-run"'],
  ["```ts no-run:", 'page.md:1: the fence says "ts no-run:"'],
  ["```ts twoslash", 'page.md:1: the fence says "ts twoslash"'],
  ["```typescript", "page.md:1: code is fenced as typescript"],
  ["```js", "page.md:1: code is fenced as js"],
])("a fence that would escape the check is refused: %s", (fence, message) => {
  expect(() => snippetsOf("page.md", markdown(fence, "one();", "```"))).toThrow(message);
});

test("a fence that is never closed is refused", () => {
  expect(() => snippetsOf("page.md", markdown("text", "```ts", "one();"))).toThrow("line 2 is never closed");
});

test("a project whose README has no snippet is refused, whatever its other pages hold", () => {
  const root = temporaryFolder({ "README.md": "# Nothing", "docs/page.md": markdown("```ts", "one();", "```") });

  expect(() => findSnippets(root)).toThrow("README.md has no snippet");
});

test("snippets are found in the README, in docs and in the README of each extension", () => {
  const page = markdown("```ts", "one();", "```");
  const root = temporaryFolder({
    "README.md": page,
    "CONTRIBUTING.md": page,
    "docs/a.md": page,
    "docs/deep/b.md": page,
    "extensions/x/README.md": page,
    "other/c.md": page,
  });

  const found = findSnippets(root).map((snippet) => snippet.page);

  expect(found).toEqual(["CONTRIBUTING.md", "README.md", "docs/a.md", "docs/deep/b.md", "extensions/x/README.md"]);
});

test("snippets that import the packages by name are type-checked and run", async () => {
  const page = markdown(
    "```ts",
    'import { createContext, createMessage, pipeline } from "event-driver";',
    "",
    "let seen = 0;",
    "const orders = pipeline().use(async () => { seen += 1; });",
    'await orders.process(createContext(), createMessage({ key: "1", source: "a", content: "{}" }));',
    'if (seen !== 1) throw new Error("not seen");',
    "```",
    "```ts no-run: it would never end",
    "const seen: number = 1;",
    "setInterval(() => {}, seen);",
    "```",
  );

  const failures = await checkSnippets(snippetsOf("docs/page.md", page), insideTheProject());

  expect(failures).toEqual([]);
});

test("a type error is reported with the line of the page, also where the snippet is not run", async () => {
  const page = markdown("# Title", "", "```ts no-run: only types matter", "const a = 1;", "const b: string = a;", "```");

  const failures = await checkSnippets(snippetsOf("docs/page.md", page), insideTheProject());

  expect(failures).toEqual([expect.stringContaining("docs/page.md:5:7: error TS2322")]);
});

test("a snippet that throws fails with what it wrote, and the others run all the same", async () => {
  const page = markdown("```ts", 'throw new Error("broken promise");', "```", "```ts", "process.exitCode = 3;", "```");

  const failures = await checkSnippets(snippetsOf("docs/page.md", page), insideTheProject());

  expect(failures).toEqual([
    expect.stringMatching(/^docs\/page\.md:2: the snippet exited with code 1\n[^]*broken promise/),
    expect.stringMatching(/^docs\/page\.md:5: the snippet exited with code 3\n/),
  ]);
});

test("a snippet that does not end is stopped at the time limit", async () => {
  const page = markdown("```ts", "setInterval(() => {}, 1000);", "```");

  const failures = await checkSnippets(snippetsOf("docs/page.md", page), insideTheProject(), { timeLimit: 300 });

  expect(failures).toEqual([expect.stringContaining("docs/page.md:2: the snippet was not done after 0.3 s")]);
});

function markdown(...lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}

/** Packages are found from inside the project only; the folder is one that git ignores. */
function insideTheProject(): string {
  const folder = join(projectRoot, ".snippets-test");
  mkdirSync(folder, { recursive: true });
  return temporaryFolder({}, folder);
}
