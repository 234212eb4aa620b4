import fc from "fast-check";
import { expect, test } from "vitest";

import { partitionOf } from "../../../src/streams/partitions/partition-of.ts";

test.each([
  ["", 0],
  ["test", 0xba6bd213],
  ["Hello, world!", 0xc0363e43],
  ["The quick brown fox jumps over the lazy dog", 0x2e4ff723],
])("%j has the hash that others have published for it", (key, hash) => {
  expect(partitionOf(key, 2 ** 32)).toBe(hash);
});

test.each([
  ["order-1", 33],
  ["ключ", 2],
  ["🚀", 37],
])("%j stays in its partition from version to version", (key, partition) => {
  expect(partitionOf(key, 64)).toBe(partition);
});

test("any key has one of the partitions, and always the same one", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 2 ** 32 }), (key, count) => {
      const partition = partitionOf(key, count);

      expect(Number.isInteger(partition)).toBe(true);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(count);
      expect(partitionOf(key, count)).toBe(partition);
    }),
  );
});

test("keys that are numbered are spread evenly, whatever stands around the number", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.integer({ min: 2, max: 64 }), (before, after, count) => {
      const each = 100;
      const sizes = Array.from({ length: count }, () => 0);
      for (let number = 0; number < each * count; number += 1) {
        const partition = partitionOf(`${before}${number}${after}`, count);
        sizes[partition] = (sizes[partition] ?? 0) + 1;
      }

      // Six times the spread that chance alone would give.
      expect(Math.min(...sizes)).toBeGreaterThan(each - 6 * Math.sqrt(each));
      expect(Math.max(...sizes)).toBeLessThan(each + 6 * Math.sqrt(each));
    }),
    { numRuns: 50 },
  );
});

test.each([0, -1, 1.5, Number.NaN, Infinity])("%s partitions are refused", (count) => {
  expect(() => partitionOf("order-1", count)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});
