import fc from "fast-check";
import { expect, test } from "vitest";

import { fromBase64, toBase64 } from "../src/base64.ts";

test("any bytes come back from base64 as they were", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(fromBase64(toBase64(bytes))).toEqual(bytes);
    }),
  );
});

test("base64 is that of RFC 4648, with its padding", () => {
  const texts = ["", "f", "fo", "foo", "foob"].map((text) => toBase64(new TextEncoder().encode(text)));

  expect(texts).toEqual(["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
  expect(toBase64(new Uint8Array([0xfb, 0xff]))).toBe("+/8=");
});

test("more bytes than a call has room for arguments come back as they were", () => {
  const bytes = Uint8Array.from({ length: 1_000_003 }, (_none, index) => index % 251);

  expect(Buffer.compare(fromBase64(toBase64(bytes)), bytes)).toBe(0);
});

test("a view of a larger buffer gives only its own bytes", () => {
  const view = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);

  expect(fromBase64(toBase64(view))).toEqual(new Uint8Array([1, 2]));
});

test("text that is no base64 is refused", () => {
  expect(() => fromBase64("not base64!")).toThrow(expect.objectContaining({ name: "InvalidCharacterError" }));
});
