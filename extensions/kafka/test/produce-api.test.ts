import { expect, test } from "vitest";

import { produceApi } from "../src/produce-api.ts";

test.each([
  { minVersion: 3, maxVersion: 13, version: 11 },
  { minVersion: 0, maxVersion: 9, version: 9 },
  { minVersion: 0, maxVersion: 3, version: 3 },
])("of versions $minVersion to $maxVersion the newest that is known is spoken: $version", ({ minVersion, maxVersion, version }) => {
  expect(produceApi([{ apiKey: 0, minVersion, maxVersion }]).version).toBe(version);
});

test.each([
  { minVersion: 0, maxVersion: 2 },
  { minVersion: 12, maxVersion: 13 },
])("a broker that speaks only versions $minVersion to $maxVersion is an error that says so", (versions) => {
  expect(() => produceApi([{ apiKey: 0, ...versions }])).toThrow(
    expect.objectContaining({
      code: "ERR_UNSUPPORTED",
      retryable: false,
      message: expect.stringContaining(`${versions.minVersion} to ${versions.maxVersion}`),
    }),
  );
});
