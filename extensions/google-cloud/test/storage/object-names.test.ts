import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";

import { isHashed, longestFolder, ObjectNames } from "../../src/storage/object-names.ts";

/** Texts of any code units, many of them near one another, some too long for a name. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom("a", "/", ".", "%", "2", "F", "!", "~", "\0", "\r", "\n", "\uD800", "\uDC00", "é", "😀"),
    maxLength: 8,
  }),
  fc.constantFrom("", ".", "..", "%empty", "%root", "%2F", "%u", "x".repeat(1_000), "€".repeat(1_000)),
);
const entry = fc.record({ scope: fc.array(text, { maxLength: 3 }), key: text, source: text });
const anyTime = fc.double({ noNaN: true });

test("ordinary names are written as they are", () => {
  const names = new ObjectNames("production", ["joiner"]);

  expect(names.entry("order-1", "event1")).toBe("production/entries/joiner/order-1/event1");
  expect(names.entry("user@example.com", "~outcome")).toBe("production/entries/joiner/user@example.com/~outcome");
  expect(names.due(Date.UTC(2026, 10, 21, 16), "order-1", "event1", "t")).toBe(
    "production/due/joiner/2026-11-21T16/c27a1fed60000000/order-1/event1/t",
  );
});

test("a name is legal for the service, whatever the key, the source and the scope", () => {
  fc.assert(
    fc.property(entry, anyTime, ({ scope, key, source }, dueAt) => {
      const names = new ObjectNames("f".repeat(longestFolder), scope);

      for (const name of [names.entry(key, source), names.due(dueAt, key, source, crypto.randomUUID())]) {
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(1_024);
        expect(name).toMatch(/^[\w.:@=+,~!%/-]+$/);
        expect(name.split("/").some((part) => ["", ".", ".."].includes(part))).toBe(false);
      }
    }),
  );
});

test("two entries have two names", () => {
  fc.assert(
    fc.property(entry, entry, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other);

      expect(nameOf(one) === nameOf(other)).toBe(isSame);
    }),
  );
});

test("what a key's names begin with begins no name of another key or scope", () => {
  fc.assert(
    fc.property(entry, entry, (one, other) => {
      const isSameKey = JSON.stringify([one.scope, one.key]) === JSON.stringify([other.scope, other.key]);

      expect(nameOf(other).startsWith(namesOf(one).ofKey(one.key))).toBe(isSameKey);
    }),
  );
});

test("key and source are read back from a name, where they are not too long for one", () => {
  fc.assert(
    fc.property(entry, anyTime, ({ scope, key, source }, dueAt) => {
      const names = new ObjectNames("", scope);

      const parsed = names.parseEntry(names.entry(key, source));
      const due = names.parseDue(names.due(dueAt, key, source, "token"));

      expect([parsed, due].every((name) => name?.key === key && name.source === source)).toBe(!isHashed(key, source));
      expect([due?.dueAt, due?.token, due?.entry]).toEqual([dueAt + 0, "token", names.entry(key, source)]);
    }),
  );
});

test("deadlines sort by time, negative, broken and infinite ones too", () => {
  fc.assert(
    fc.property(anyTime, anyTime, entry, (one, other, { key, source }) => {
      const names = new ObjectNames("", []);
      const [earlier, later] = [Math.min(one, other), Math.max(one, other)];

      expect(names.due(earlier, key, source, "t") <= names.due(later, key, source, "t")).toBe(true);
      expect(names.due(later, key, source, "t") < names.behindDueAt(later)).toBe(true);
      expect(names.behindDueAt(earlier) <= names.due(later, key, source, "t")).toBe(earlier < later);
    }),
  );
});

test("what comes behind a key or a deadline is behind all of its names, and before those of the next", () => {
  const names = new ObjectNames("", []);

  expect(names.entry("key", "\u{10FFFF}") < names.behindKey("key")).toBe(true);
  expect(names.behindKey("key") <= names.entry("key0", "")).toBe(true);
  expect(names.due(1, "key", "event1", "ffff") < names.behindDue(1, "key", "event1")).toBe(true);
  expect(names.behindDue(1, "key", "event1") <= names.due(1, "key", "event10", "0000")).toBe(true);
});

test("a name that is none of ours is not read", () => {
  const names = new ObjectNames("", []);

  expect(names.parseEntry("entries/%root/key")).toBeUndefined();
  expect(names.parseEntry("entries/%root/key/source/more")).toBeUndefined();
  expect(names.parseEntry("entries/another/key/source")).toBeUndefined();
  expect(names.parseDue("due/%root/2026-11-21T16/soon/key/source/token")).toBeUndefined();
  expect(names.parseDue("due/%root/2026-11-21T16/c27a1fef4b600000/key/source")).toBeUndefined();
});

interface Entry {
  readonly scope: string[];
  readonly key: string;
  readonly source: string;
}

function namesOf({ scope }: Entry): ObjectNames {
  return new ObjectNames("", scope);
}

function nameOf(one: Entry): string {
  return namesOf(one).entry(one.key, one.source);
}
