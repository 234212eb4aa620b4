import fc from "fast-check";
import { expect, test } from "vitest";
import { gcsEventStore, type GcsObject } from "@event-driver/google-cloud/storage";

import { chooseObject } from "../../src/storage/read-policy.ts";

const objects = [objectOf("c", 2), objectOf("a", 1), objectOf("b", 3)];

test("the first or the last that was created counts", () => {
  expect(chooseObject("firstCreated", objects)?.name).toBe("a");
  expect(chooseObject("lastCreated", objects)?.name).toBe("b");
});

test("of those that were created at once the lesser name counts, whatever the policy, as in the Go original", () => {
  const atOnce = [objectOf("b", 1), objectOf("a", 1), objectOf("c", 1)];

  expect(chooseObject("firstCreated", atOnce)?.name).toBe("a");
  expect(chooseObject("lastCreated", atOnce)?.name).toBe("a");
});

test("where there is none, none counts", () => {
  expect(chooseObject("firstCreated", [])).toBeUndefined();
  expect(chooseObject("lastCreated", [])).toBeUndefined();
});

test("a policy of one's own is given the oldest first, and may choose none", () => {
  const given: string[] = [];

  const second = chooseObject((all) => {
    given.push(...all.map(({ name }) => name));
    return all[1];
  }, objects);

  expect([given, second?.name]).toEqual([["a", "c", "b"], "c"]);
  expect(chooseObject(() => undefined, objects)).toBeUndefined();
});

test("the order in which objects are listed decides nothing", () => {
  const listed = fc.uniqueArray(fc.record({ name: fc.string(), createdAt: fc.nat(3) }), { minLength: 1, selector: ({ name }) => name });

  fc.assert(
    fc.property(listed, (given) => {
      const all = given.map(({ name, createdAt }) => objectOf(name, createdAt));

      for (const policy of ["firstCreated", "lastCreated"] as const) {
        expect(chooseObject(policy, all.toReversed())).toEqual(chooseObject(policy, all));
      }
    }),
  );
});

test("a policy is refused that is none, or that has nothing to choose from", () => {
  const bucket = { bucket: "orders", apiEndpoint: "http://127.0.0.1:1" };

  expect(() => gcsEventStore({ ...bucket, layout: "go", readPolicy: JSON.parse('"newest"') })).toThrow("gcsEventStore: readPolicy is");
  expect(() => gcsEventStore({ ...bucket, readPolicy: "lastCreated" })).toThrow("gcsEventStore: readPolicy is");
  expect(() => gcsEventStore({ ...bucket, layout: JSON.parse('"rust"') })).toThrow(
    'gcsEventStore: layout is "rust", allowed is "entries" or "go"',
  );
});

function objectOf(name: string, createdAt: number): GcsObject {
  return { name, createdAt, generation: "1" };
}
