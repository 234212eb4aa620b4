import fc from "fast-check";
import { expect, test } from "vitest";

import { LinkedList, type Listed } from "../../src/streams/linked-list.ts";

class Member implements Listed<Member> {
  list: unknown;
  before: Member | undefined;
  after: Member | undefined;
}

test("whatever is added and deleted, the list has the members that a set has, in its order", () => {
  const step = fc.record({ member: fc.nat(7), kind: fc.constantFrom("add", "delete") });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const members = Array.from({ length: 8 }, () => new Member());
      const [list, set] = [new LinkedList<Member>(), new Set<Member>()];

      for (const { member: index, kind } of steps) {
        const member = members[index] ?? new Member();
        if (kind === "delete") {
          list.delete(member);
          set.delete(member);
        } else if (!list.has(member)) {
          list.add(member);
          set.add(member);
        }

        expect([...list]).toEqual([...set]);
        expect(list.size).toBe(set.size);
        expect(list.first).toBe([...set][0]);
        expect(list.has(member)).toBe(set.has(member));
      }
    }),
  );
});

test("a member that was taken out holds no other", () => {
  const list = new LinkedList<Member>();
  const [first, second, third] = [new Member(), new Member(), new Member()];
  for (const member of [first, second, third]) list.add(member);

  list.delete(second);

  expect(second).toEqual(new Member());
});

test("the member at hand may be taken out", () => {
  const list = new LinkedList<Member>();
  for (let count = 0; count < 3; count += 1) list.add(new Member());
  let seen = 0;

  for (const member of list) {
    list.delete(member);
    seen += 1;
  }

  expect(seen).toBe(3);
  expect(list.size).toBe(0);
});

test("all members can be taken out together, and be in another list then", () => {
  const [list, other] = [new LinkedList<Member>(), new LinkedList<Member>()];
  const members = [new Member(), new Member(), new Member()];
  for (const member of members) list.add(member);

  for (const member of list.clear()) other.add(member);

  expect([...list]).toEqual([]);
  expect(list.size).toBe(0);
  expect([...other]).toEqual(members);
});

test("a member of another list is not taken out, nor found", () => {
  const [list, other] = [new LinkedList<Member>(), new LinkedList<Member>()];
  const member = new Member();
  other.add(member);

  expect(list.delete(member)).toBe(false);
  expect(list.has(member)).toBe(false);
  expect([...other]).toEqual([member]);
});
