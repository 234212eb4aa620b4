import fc from "fast-check";
import { expect, test } from "vitest";

import { compareTimes } from "../../../src/handlers/joiner/event-time.ts";

test.for([
  ["a nanosecond", "2024-05-01T12:00:00.000000001Z", "2024-05-01T12:00:00.000000002Z"],
  ["a digit beyond nanoseconds", "2024-05-01T12:00:00.1234567890Z", "2024-05-01T12:00:00.1234567891Z"],
  ["fractions of different length", "2024-05-01T12:00:00.45Z", "2024-05-01T12:00:00.5Z"],
  ["no fraction and one", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000001Z"],
  ["an offset east", "2024-05-01T13:59:59+02:00", "2024-05-01T12:00:00Z"],
  ["an offset west", "2024-05-01T12:00:00Z", "2024-05-01T08:00:01-04:00"],
  ["an offset across midnight", "2024-05-02T00:30:00+02:00", "2024-05-01T23:00:00Z"],
  ["times before 1970", "1969-12-31T23:59:58.9Z", "1969-12-31T23:59:59.1Z"],
  ["a leap second", "2016-12-31T23:59:59.9Z", "2016-12-31T23:59:60Z"],
  ["an absent time", undefined, "0001-01-01T00:00:00Z"],
  ["a text that is no time", "yesterday", "0001-01-01T00:00:00Z"],
  ["a time without offset", "2024-05-01T12:00:00", "0001-01-01T00:00:00Z"],
] as const)("%s is told apart from what is later", ([_what, earlier, later]) => {
  expect(Math.sign(compareTimes(earlier, later))).toBe(-1);
  expect(Math.sign(compareTimes(later, earlier))).toBe(1);
});

test.for([
  ["zeros at the end of a fraction", "2024-05-01T12:00:00.1Z", "2024-05-01T12:00:00.1000Z"],
  ["a fraction of nothing", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000Z"],
  ["small letters", "2024-05-01t12:00:00z", "2024-05-01T12:00:00Z"],
  ["the offset", "2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00Z"],
  ["an unknown offset", "2024-05-01T12:00:00-00:00", "2024-05-01T12:00:00Z"],
  ["absence and a text that is no time", undefined, "yesterday"],
] as const)("%s makes no difference", ([_what, one, other]) => {
  expect(compareTimes(one, other)).toBe(0);
});

test("times compare as their instants, to the nanosecond, whatever their offsets", () => {
  fc.assert(
    fc.property(instant(), instant(), (one, other) => {
      const expected = one.nanoseconds < other.nanoseconds ? -1 : Number(one.nanoseconds > other.nanoseconds);

      expect(Math.sign(compareTimes(one.text, other.text))).toBe(expected);
    }),
  );
});

/** An instant of a few seconds, and one of the many ways to write it. */
function instant(): fc.Arbitrary<{ readonly nanoseconds: bigint; readonly text: string }> {
  const base = Date.parse("2024-05-01T12:00:00Z") / 1_000;
  return fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: -14 * 60, max: 14 * 60 }))
    .map(([second, nanosecond, offset]) => {
      const local = new Date((base + second + offset * 60) * 1_000).toISOString().slice(0, 19);
      const hours = String(Math.trunc(Math.abs(offset) / 60)).padStart(2, "0");
      const minutes = String(Math.abs(offset) % 60).padStart(2, "0");
      const fraction = nanosecond === 0 ? "" : `.${String(nanosecond).padStart(9, "0")}`;
      const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${hours}:${minutes}`;
      return { nanoseconds: BigInt(base + second) * 1_000_000_000n + BigInt(nanosecond), text: `${local}${fraction}${zone}` };
    });
}
