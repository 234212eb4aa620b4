import { compatibilityPartitioner } from "@platformatic/kafka";
import fc from "fast-check";
import { expect, test } from "vitest";

import { partitionOfKey } from "../src/partition-of-key.ts";
import { hashesInJava } from "./java-hashes.ts";

test.each([...hashesInJava])("%s goes where Java's client sends it", (key, hash) => {
  for (const each of [key, Buffer.from(key)]) expect(partitionOfKey(each, 1_000_003)).toBe((hash & 0x7fff_ffff) % 1_000_003);
});

test("every key goes where the client sends it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 1_000 }), (bytes, count) => {
      const key = Buffer.from(bytes);

      expect(partitionOfKey(key, count)).toBe(compatibilityPartitioner({ topic: "orders", key }, key) % count);
    }),
  );
});

test("a key of text goes where its bytes do, however long it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 800, size: "max" }), (key) => {
      expect(partitionOfKey(key, 1_000)).toBe(partitionOfKey(Buffer.from(key), 1_000));
    }),
  );
});

test("what has no key goes to the first partition", () => {
  expect(partitionOfKey(null, 6)).toBe(0);
});
