import fc from "fast-check";
import { expect, test } from "vitest";

import { GoNames } from "../../src/storage/go-names.ts";
import { goObjects } from "./go-bucket.ts";

test.each(["none", "gzip"] as const)("an object is named as the Go original names it: %s", (compressor) => {
  const names = new GoNames("");

  for (const { key, source, stored, name } of goObjects(compressor)) expect(names.object(key, source, stored)).toBe(name);
});

test("a folder stands in front", () => {
  const names = new GoNames("orders/eu");

  expect(names.object("order-1", "event1", new Uint8Array())).toBe("orders/eu/order-1/event1/47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=");
  expect(names.ofKey("order-1")).toBe("orders/eu/order-1/");
});

test("slashes at the ends of a key or a source are trimmed", () => {
  const names = new GoNames("orders");

  expect(names.ofSource("/order-1//", "//event1/")).toBe(names.ofSource("order-1", "event1"));
});

test.each<[string, string, string]>([
  ["a slash in the key", "order/1", "event1"],
  ["a slash in the source", "order-1", "orders/event1"],
  ["an empty key", "", "event1"],
  ["an empty source", "order-1", ""],
  ["a key of slashes alone", "//", "event1"],
  ["a line end", "order\n1", "event1"],
  ["half a surrogate pair", "order-1", "\uD800"],
])("%s is refused for good, with what to do", (_what, key, source) => {
  expect(() => new GoNames("").ofSource(key, source)).toThrow(
    expect.objectContaining({
      code: "ERR_INVALID_MESSAGE",
      retryable: false,
      message: expect.stringMatching(/"go".+; .+ in a transformer/),
    }),
  );
});

test("a refusal names the key", () => {
  expect(() => new GoNames("").ofKey("order/1")).toThrow('key "order/1" has a slash in it');
});

test("a name of 1,024 bytes is the longest", () => {
  const names = new GoNames("");
  const longest = "k".repeat(1_024 - "/event1/".length - 44);

  expect(names.object(longest, "event1", new Uint8Array())).toHaveLength(1_024);
  expect(() => names.object(`${longest}k`, "event1", new Uint8Array())).toThrow(expect.objectContaining({ code: "ERR_INVALID_MESSAGE" }));
});

test.each([["order-1/event1"], ["order-1//file"], ["/event1/file"], ["file"], ["other/order-1/event1/file"]])(
  "an object that is no message's is passed over: %s",
  (name) => {
    expect(new GoNames("folder").parse(name === "other/order-1/event1/file" ? name : `folder/${name}`)).toBeUndefined();
  },
);

test("key and source are read from the name, whatever they are", () => {
  const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !/[/\r\n]/.test(text) && text.isWellFormed());
  const folder = fc.constantFrom("", "orders", "orders/eu");

  fc.assert(
    fc.property(folder, part, part, fc.uint8Array(), (inside, key, source, stored) => {
      const names = new GoNames(inside);

      const name = names.object(key, source, stored);

      expect(names.parse(name)).toMatchObject({ key, source });
      expect(name.startsWith(names.ofSource(key, source))).toBe(true);
      expect(names.lastPart(names.ofKey(key))).toBe(key);
      expect(names.lastPart(names.ofSource(key, source))).toBe(source);
    }),
  );
});
