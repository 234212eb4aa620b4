import fc from "fast-check";
import { expect, test } from "vitest";

import { parsePosition, showPosition } from "../src/position.ts";

test("a position reads as partition, offset and time", () => {
  expect(showPosition({ partition: 3, offset: 42n, timestamp: 1_767_225_600_000 })).toBe("3:42@1767225600000");
});

test("every position comes back as it was shown", () => {
  const anyPosition = fc.record({
    partition: fc.nat(2 ** 31 - 1),
    offset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    timestamp: fc.integer({ min: -1, max: 8_640_000_000_000_000 }),
  });

  fc.assert(
    fc.property(anyPosition, (position) => {
      expect(parsePosition(showPosition(position))).toEqual(position);
    }),
  );
});

test.each(["", "42", "3:42", "3:-1@0", "a:1@0", "3:42@", " 3:42@0", "3:42@0\n"])(
  "position %j is refused, and what is allowed is said",
  (text) => {
    expect(() => parsePosition(text)).toThrow("backfill.position is");
  },
);
