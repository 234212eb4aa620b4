import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { type ClaimRecord, type ClaimRules, decodeClaim, encodeClaim, ownerNames, tokenOf } from "../../src/claims/claim-record.ts";
import { createContext } from "../../src/context.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { Races } from "../../src/pipeline/race.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

const rules: ClaimRules = {
  store: memoryEventStore(),
  source: "~claim",
  lease: 10_000,
  skewAllowance: 0,
  nameOwner: ownerNames(),
  renewals: new Races(),
  writing: () => ({}),
};

test("a claim under way is read as it was written, whatever its key, its trigger and its body hold", () => {
  fc.assert(
    fc.property(anyRecord("running"), fc.string({ unit: "binary" }), (record, key) => {
      expect(read(encodeClaim(key, "~claim", record))).toEqual(record);
    }),
  );
});

test("a claim that has ended keeps its owner, its fence and all that is told to duplicates", () => {
  fc.assert(
    fc.property(anyRecord("done"), fc.string({ unit: "binary" }), (record, key) => {
      const { starts: _starts, writtenAt: _writtenAt, ...told } = record;

      expect(read(encodeClaim(key, "~claim", record))).toMatchObject(told);
    }),
  );
});

test("what is no claim is told from one: text, bytes, and JSON of any other kind", () => {
  const foreign = fc.oneof(
    fc.string(),
    fc.uint8Array(),
    fc.json(),
    fc.constantFrom("null", "[]", "{}", '{"phase":1}', '{"phase":"running"'),
  );

  fc.assert(
    fc.property(foreign, (content) => {
      expect(() => read(createMessage({ key: "order-1", source: "~claim", content }))).toThrow(
        expect.objectContaining({ code: "ERR_STORE_CORRUPT", retryable: false }),
      );
    }),
  );
});

test("no two owners have one name, be they of one process or of two", () => {
  const [one, other] = [ownerNames(), ownerNames()];

  const names = Array.from({ length: 1_000 }, () => [one(), other()]).flat();

  expect(new Set(names).size).toBe(2_000);
});

function read(message: Message): ClaimRecord | undefined {
  return decodeClaim({ message, revision: "1" }, rules, createContext())?.record;
}

function anyRecord(phase: ClaimRecord["phase"]): fc.Arbitrary<ClaimRecord> {
  const text = fc.string({ unit: "binary", maxLength: 10 });
  return fc
    .record(
      {
        fence: fc.nat(),
        starts: fc.nat(),
        writtenAt: fc.nat(),
        trigger: text,
        reported: fc.constant(true),
        fingerprint: text,
        steps: fc.dictionary(text, fc.record({ result: text }), { noNullPrototype: true, maxKeys: 2 }),
        data: fc.constantFrom<unknown>(null, 0, "", { kind: "complete", members: [] }),
        body: text,
      },
      { requiredKeys: ["fence", "starts", "writtenAt", "trigger", "body"] },
    )
    .map((parts) => ({ phase, owner: "owner", token: tokenOf("owner", 3), lease: rules.lease, ...parts }));
}

test("the first claim of a process that ends is written whole, also where the clock began at 0", async () => {
  vi.resetModules();
  const fresh = await import("../../src/claims/claim-record.ts");
  const record: ClaimRecord = {
    phase: "done",
    trigger: "order-1",
    owner: "owner",
    token: tokenOf("owner", 1),
    fence: 0,
    starts: 1,
    lease: 10_000,
    writtenAt: 0,
  };

  const written = fresh.encodeClaim("order-1", "~claim", record);

  expect(written.content).toBe('{"phase":"done","fence":0}');
});
