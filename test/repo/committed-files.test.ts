import { expect, test } from "vitest";

import { type CommittedFile, committedFiles } from "./committed-files.ts";

interface Ban {
  readonly what: string;
  readonly in: readonly CommittedFile[];
  readonly pattern: RegExp;
  /** A line that must be found, or the pattern is worth nothing. */
  readonly example: string;
}

// This file holds an example of each, so it is the one that is not read.
const files = committedFiles().filter(({ path }) => path !== "test/repo/committed-files.test.ts");
const code = files.filter(({ path }) => /\.(ts|mjs|js)$/.test(path));
const lockFile = files.filter(({ path }) => path === "package-lock.json");

const bans: readonly Ban[] = [
  {
    what: "names a folder of someone's machine",
    in: files,
    pattern: /(?<![\w.~}/-])\/(?:home|root|Users|work)\/\w|\b[A-Z]:\\\w/,
    example: 'const file = "/home/someone/orders.db";',
  },
  {
    what: "names the host of a package registry",
    in: files,
    pattern: /registry\.(?:npmjs\.org|npmmirror\.com|yarnpkg\.com)|npm\.pkg\.github\.com/,
    example: "registry=https://registry.npmjs.org/",
  },
  {
    what: "says where an installed package was fetched from",
    in: lockFile,
    pattern: /"resolved": "(?:https?|git)/,
    example: '"resolved": "https://example.com/a.tgz",',
  },
  { what: "leaves something for later", in: code, pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/, example: "// TODO: retry" },
  {
    what: "silences the compiler",
    in: code,
    pattern: /@ts-(?:ignore|nocheck)\b|\bas unknown as\b|\bas any\b/,
    example: "const store = given as any;",
  },
  {
    what: "focuses a test, or leaves one out without a condition",
    in: code,
    pattern: /\b(?:test|it|describe)(?:\.\w+)*\.(?:only|todo|skip)\(/,
    example: 'test.skip("a lease is renewed", () => {});',
  },
];

test("the check reads the project's files", () => {
  expect(code.length).toBeGreaterThan(20);
  expect(lockFile).toHaveLength(1);
});

test.each(bans)("no line $what", ({ in: among, pattern, example }) => {
  const found = among.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );

  expect(example).toMatch(pattern);
  expect(found).toEqual([]);
});

test("no file of code is longer than 400 lines", () => {
  const long = code.map(({ path, text }) => ({ path, lines: text.split("\n").length })).filter(({ lines }) => lines > 400);

  expect(long).toEqual([]);
});
