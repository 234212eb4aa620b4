import fc from "fast-check";
import { expect, test } from "vitest";

import { cursorJson, positionOf, readMessageId } from "../src/message-id.ts";

const count = fc.option(fc.nat(), { nil: undefined });

test("a message id that Pulsar has written is read", () => {
  expect(readMessageId("CAsQADAA")).toEqual({ ledger: "11", entry: "0", partition: undefined, batch: undefined });
});

test("the numbers of a message id are read whatever they are, and -1 counts as none", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), fc.nat(), count, count, (ledger, entry, partition, batch) => {
      const bytes = [1, ledger, 2, BigInt(entry), 3, BigInt(partition ?? -1), 4, BigInt(batch ?? -1)];

      expect(readMessageId(encoded(bytes))).toEqual({ ledger: String(ledger), entry: String(entry), partition, batch });
    }),
  );
});

test("fields of another kind end what is read", () => {
  const withText = Buffer.concat([Buffer.from(encoded([1, 5n, 2, 6n]), "base64"), Buffer.from([0x2a, 0x01, 0x61])]);

  expect(readMessageId(withText.toString("base64"))).toMatchObject({ ledger: "5", entry: "6" });
});

test("no text makes reading hang or throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
      expect(positionOf(readMessageId(text))).toMatch(/^-?\d+:-?\d+/);
    }),
  );
});

test("a position is a cursor for the administration, with every digit", () => {
  const position = positionOf({ ledger: "9007199254740993", entry: "7", partition: undefined, batch: undefined });

  expect(cursorJson(position)).toBe('{"ledgerId":9007199254740993,"entryId":7,"partitionIndex":-1,"batchIndex":-1}');
  expect(cursorJson("1:2:3:4")).toBe('{"ledgerId":1,"entryId":2,"partitionIndex":3,"batchIndex":4}');
  expect(cursorJson("1:2::4")).toBe('{"ledgerId":1,"entryId":2,"partitionIndex":-1,"batchIndex":4}');
});

test("every position is a cursor that is JSON", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.option(fc.nat(999_999), { nil: undefined }), (ledger, entry, partition) => {
      const position = positionOf({ ledger: `0${ledger}`, entry: String(entry), partition, batch: undefined });

      expect(JSON.parse(cursorJson(position))).toMatchObject({ ledgerId: ledger, entryId: entry, partitionIndex: partition ?? -1 });
    }),
  );
});

test.each(["", "1", "first", "1:2:3", "-1:-1", "1:2}", "99999999999999999999:1"])("%j is no position", (position) => {
  expect(() => cursorJson(position)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

/** Protobuf: each number of a field and its value. */
function encoded(fields: readonly (number | bigint)[]): string {
  const bytes: number[] = [];
  for (const [index, value] of fields.entries()) pushVarint(bytes, index % 2 === 0 ? BigInt(value) << 3n : BigInt(value));
  return Buffer.from(bytes).toString("base64");
}

function pushVarint(bytes: number[], value: bigint): void {
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    if (rest < 0x80n) return void bytes.push(Number(rest));
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}
