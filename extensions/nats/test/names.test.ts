import fc from "fast-check";
import { expect, test } from "vitest";

import { decodeName, encodeName } from "../src/names.ts";

/** Half surrogate pairs too. */
const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 60 });

test("a plain name stays as it is", () => {
  expect(encodeName("Orders_2026-eu")).toBe("Orders_2026-eu");
});

test("what JetStream has a meaning for, or folders, is written in hexadecimal", () => {
  expect(encodeName("eu.orders/*>\\ é")).toBe("eu=2Eorders=2F=2A=3E=5C=20=C3=A9");
});

test("a long name keeps its beginning, and becomes short enough", () => {
  const encoded = encodeName("a".repeat(1_000));

  expect(encoded).toMatch(/^a{80,}=-[A-Za-z0-9_-]{43}$/);
  expect(encoded.length).toBe(128);
});

test("long names that differ at their end alone stay apart", () => {
  expect(encodeName(`${"a".repeat(500)}1`)).not.toBe(encodeName(`${"a".repeat(500)}2`));
});

test("control characters, no text and half a surrogate pair are told apart", () => {
  expect(["\0", "", "\ud800", "=", "-"].map((text) => encodeName(text))).toEqual(["=00", "=", "=uD800", "=3D", "-"]);
});

test("a name says what it stands for, unless that is too long", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(decodeName(encodeName(text, 1_000))).toBe(text);
    }),
  );
  expect(decodeName(encodeName("a".repeat(200)))).toBeUndefined();
});

test("every name becomes one that JetStream takes, and no two become the same", () => {
  fc.assert(
    fc.property(anyText, anyText, (one, other) => {
      expect(encodeName(one)).toMatch(/^[A-Za-z0-9_=-]{1,128}$/);
      expect(encodeName(one) === encodeName(other)).toBe(one === other);
    }),
  );
});
