import fc from "fast-check";
import { expect, test } from "vitest";

import { pulsarName } from "../src/names.ts";

const anyText = fc.string({ unit: "binary", minLength: 1 });

test("a plain name stays as it is", () => {
  expect(pulsarName("orders.v2_eu-west-1")).toBe("orders.v2_eu-west-1");
});

test("every other byte is escaped", () => {
  expect(pulsarName("a/b é=")).toBe("a=2Fb=20=C3=A9=3D");
});

test("what Pulsar gives a meaning to is escaped", () => {
  expect(["..", ".a", "__change_events", "a___b", "a-partition-0", "pulsar.dedup"].map(pulsarName)).toEqual([
    "=2E.",
    "=2Ea",
    "=5F_change_events",
    "a=5F=5F_b",
    "a=2Dpartition-0",
    "=70ulsar.dedup",
  ]);
});

test("no two strings have the same name", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.oneof(anyText, fc.stringMatching(/^[._=p-]{1,6}$/)), { minLength: 2 }), (texts) => {
      expect(new Set(texts.map(pulsarName)).size).toBe(texts.length);
    }),
  );
});

test("a short name says which string it stands for", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 15 }), (text) => {
      expect(decodeURIComponent(pulsarName(text).replaceAll("=", "%"))).toBe(text);
    }),
  );
});

test("a name is one segment of a path, of bounded length, and no partition or system topic", () => {
  fc.assert(
    fc.property(
      fc.oneof(anyText, fc.string({ minLength: 200, maxLength: 2_000 }), fc.stringMatching(/^[_.-]{0,3}(-partition-\d)?$/)),
      (text) => {
        fc.pre(text !== "");
        const name = pulsarName(text);

        expect(name).toMatch(/^(?!\.)[\w.=-]{1,240}$/);
        expect(name).not.toMatch(/__|-partition-|^pulsar\./);
      },
    ),
  );
});

test("long names that differ in one character stay apart", () => {
  expect(pulsarName(`${"é".repeat(1_000)}a`)).not.toBe(pulsarName(`${"é".repeat(1_000)}b`));
});
