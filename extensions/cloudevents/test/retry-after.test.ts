import { expect, test } from "vitest";

import { retryAfterOf } from "../src/send/retry-after.ts";

const now = Date.parse("2026-11-21T13:35:00.500Z");

test.each([
  ["0", 0],
  ["120", 120_000],
  [" 7 ", 7_000],
  ["Sat, 21 Nov 2026 13:36:00 GMT", 59_500],
  ["Sat, 21 Nov 2026 13:34:00 GMT", 0],
])("Retry-After %s is %i milliseconds", (header, milliseconds) => {
  expect(retryAfterOf(header, now)).toBe(milliseconds);
});

test.each([null, "", "soon", "-1", "1.5", "2026-11-21", "1e3"])("Retry-After %s says nothing", (header) => {
  expect(retryAfterOf(header, now)).toBeUndefined();
});
