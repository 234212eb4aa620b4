import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

import { projectRoot } from "../../tools/run-command.ts";
import { committedFiles } from "./committed-files.ts";
import { headingAnchors, headings, relativeLinks } from "./markdown.ts";

const pages = committedFiles().filter(({ path }) => path.endsWith(".md"));

test("every relative link of a page leads to a file, and to a heading where it names one", () => {
  const broken = pages.flatMap(({ path, text }) =>
    relativeLinks(text)
      .filter((link) => !leadsSomewhere(path, link))
      .map((link) => `${path}:${link.line}: ${link.path}${link.anchor && `#${link.anchor}`}`),
  );

  expect(broken).toEqual([]);
});

test("docs/errors.md has one section for each code of an error, in the order of the codes", () => {
  const source = readFileSync(join(projectRoot, "src/errors.ts"), "utf8");
  const [, union = ""] = /export type ErrorCode =([^;]+);/.exec(source) ?? [];
  const codes = [...union.matchAll(/"(ERR_[A-Z_]+)"/g)].map(([, code = ""]) => code);

  const sections = headings(readFileSync(join(projectRoot, "docs/errors.md"), "utf8"), 2).filter((heading) => heading.includes("ERR_"));

  expect(codes.length).toBeGreaterThan(20);
  expect(sections).toEqual(codes);
  expect(codes).toEqual(codes.toSorted((one, other) => one.localeCompare(other, "en")));
});

test("links are found in text, images and references, but not in code or to other hosts", () => {
  const page = [
    "See [the guide](docs/guide.md#the-end) and ![a picture](<a%20b.png>).",
    '[here](#top) [there](https://example.com/x.md) `[code](gone.md)` [titled](x.md "X")',
    "[ref]: other.md",
    "```md",
    "[fenced](gone.md)",
    "```",
  ].join("\n");

  expect(relativeLinks(page)).toEqual([
    { line: 1, path: "docs/guide.md", anchor: "the-end" },
    { line: 1, path: "a b.png", anchor: "" },
    { line: 2, path: "", anchor: "top" },
    { line: 2, path: "x.md", anchor: "" },
    { line: 3, path: "other.md", anchor: "" },
  ]);
});

test("headings have the anchors that GitHub gives them", () => {
  const page = "# `joiner` & friends\n\n## What's new?\n\n```sh\n# no heading\n```\n\n## What's new?\n";

  expect(headingAnchors(page)).toEqual(["joiner--friends", "whats-new", "whats-new-1"]);
});

function leadsSomewhere(page: string, { path, anchor }: { readonly path: string; readonly anchor: string }): boolean {
  const target = join(projectRoot, path === "" ? page : normalize(join(dirname(page), path)));
  if (!existsSync(target)) return false;
  return anchor === "" || !target.endsWith(".md") || headingAnchors(readFileSync(target, "utf8")).includes(anchor);
}
