import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { pageWithTable, withFeatureTable } from "../../tools/feature-table.ts";

test("docs/streams.md says of each broker what its package declares: npm run docs writes it anew", () => {
  const page = readFileSync(pageWithTable, "utf8");

  expect(withFeatureTable(page)).toBe(page);
});

test("a page without a place for the table is no page for it", () => {
  expect(() => withFeatureTable("# How do I feed a pipeline from a broker?\n")).toThrow("the page has no <!-- features -->");
});
