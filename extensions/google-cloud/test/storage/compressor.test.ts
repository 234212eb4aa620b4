import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";

import { type Compressor, type CompressorOption, Compressors, resolveCompressor } from "../../src/storage/compressor.ts";

const builtIn = ["none", "gzip", "brotli", "zstd"] as const;
const reversing: Compressor = { name: "reversing", compress: (bytes) => bytes.toReversed(), decompress: (bytes) => bytes.toReversed() };

test("bytes come back as they went in, whatever they were compressed by and whatever is used now", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 1_000 }),
      fc.constantFrom(...builtIn),
      fc.constantFrom(...builtIn),
      async (bytes, then, now) => {
        const stored = await compressors(then).compress(bytes);

        expect(Buffer.from(await compressors(now).decompress(then, stored))).toEqual(Buffer.from(bytes));
      },
    ),
  );
});

test("one of your own is used under its name, and those that are built in are read beside it", async () => {
  const own = compressors(reversing);

  expect([own.name, await own.compress(Uint8Array.of(1, 2))]).toEqual(["reversing", Uint8Array.of(2, 1)]);
  expect(await own.decompress("reversing", Uint8Array.of(2, 1))).toEqual(Uint8Array.of(1, 2));
  expect(await own.decompress("none", Uint8Array.of(2, 1))).toEqual(Uint8Array.of(2, 1));
});

test("a compressor that is not known is named in the failure", async () => {
  await expect(compressors("gzip").decompress("reversing", Uint8Array.of(1))).rejects.toMatchObject({
    code: "ERR_STORE_FAILED",
    message: expect.stringContaining('"reversing"'),
  });
});

test.each(builtIn)("%s: content over the limit is neither written nor read, and what is at the limit is", async (name) => {
  const tooMuch = new Uint8Array(1_001);
  const stored = await new Compressors(resolveCompressor(name), 2_000).compress(tooMuch);
  const limited = new Compressors(resolveCompressor(name), 1_000);

  await expect(limited.compress(tooMuch)).rejects.toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });
  await expect(limited.decompress(name, stored)).rejects.toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });
  expect((await limited.decompress(name, await limited.compress(tooMuch.subarray(1)))).length).toBe(1_000);
});

test("content that one of your own makes too large is not read", async () => {
  const doubling: Compressor = { ...reversing, decompress: (bytes) => Buffer.concat([bytes, bytes]) };

  await expect(new Compressors(doubling, 3).decompress("reversing", Uint8Array.of(1, 2))).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
});

test.each(["gzip", "brotli", "zstd"])("%s: bytes that it has not made are damaged", async (name) => {
  await expect(compressors("none").decompress(name, Buffer.from("no such thing"))).rejects.toMatchObject({
    code: "ERR_STORE_CORRUPT",
    retryable: true,
  });
});

test("only what is a compressor is one, and none takes the name of one that is built in", () => {
  const invalid: readonly CompressorOption[] = [
    JSON.parse('"lz4"'),
    JSON.parse("null"),
    JSON.parse("{}"),
    Object({ name: "own", compress: (bytes: Uint8Array) => bytes }),
    { ...reversing, name: "" },
    { ...reversing, name: "gzip" },
  ];

  for (const given of invalid) expect(() => resolveCompressor(given)).toThrow(/compressor is .+, allowed is "none"/);
});

function compressors(option: CompressorOption): Compressors {
  return new Compressors(resolveCompressor(option), 2_000);
}
