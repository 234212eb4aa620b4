import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { digest } from "../src/digest.ts";

const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test("the digest is SHA-256 of the text's UTF-8, in hexadecimal", async () => {
  expect(await digest("")).toBe(empty);
  expect(await digest("ü😀")).toBe(createHash("sha256").update("ü😀", "utf8").digest("hex"));
});

test("where there is no Node the digest is the same", async () => {
  const text = fc.array(fc.constantFrom("a", "ü", "😀", "\u0000", "\ud800"), { maxLength: 8 }).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(text, async (given) => {
      const onNode = await digest(given);
      vi.stubGlobal("process", undefined);
      const elsewhere = await digest(given);
      vi.unstubAllGlobals();

      expect(elsewhere).toBe(onNode);
    }),
    { numRuns: 20 },
  );
});
