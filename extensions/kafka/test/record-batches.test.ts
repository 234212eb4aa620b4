import fc from "fast-check";
import { expect, test } from "vitest";

import { BytesReader } from "../src/bytes-reader.ts";
import { LogRecord, TextMemory } from "../src/log-record.ts";
import { recordBatches, recordsOf } from "../src/record-batches.ts";
import { type LogBatch, type LogEntry, logOf, usualTime } from "./log-batches.ts";

const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each));
const text = fc.string({ unit: fc.constantFrom("a", "b", "-", "é", "日"), maxLength: 12 }).map((each) => Buffer.from(each));
const entry: fc.Arbitrary<LogEntry> = fc.record(
  {
    key: bytes,
    value: fc.oneof(
      bytes,
      fc.integer({ min: 60, max: 20_000 }).map((length) => Buffer.alloc(length, 7)),
    ),
    headers: fc.array(fc.tuple(text, fc.oneof(text, bytes)), { maxLength: 6 }),
    // The client writes no greater distances within a batch rightly.
    timestamp: fc.integer({ min: usualTime - 1_000_000_000, max: usualTime + 1_000_000_000 }),
  },
  { requiredKeys: [] },
);

test("what a producer has written is read as it was, whatever it is", () => {
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 8 }), fc.bigInt({ min: 0n, max: 2n ** 60n }), (entries, firstOffset) => {
      const texts = new TextMemory();

      const records = recordsIn({ firstOffset, records: entries });

      expect(records.map(({ offset }) => offset)).toEqual(entries.map((_, index) => firstOffset + BigInt(index)));
      expect(records.map(({ timestamp }) => timestamp)).toEqual(entries.map(({ timestamp = usualTime }) => timestamp));
      expect(records.map((record) => inBytes(record, texts))).toEqual(entries.map(expected));
    }),
  );
});

test.each(["gzip", "snappy", "lz4", "zstd"] as const)("a batch compressed with %s is read", (compression) => {
  const entries = Array.from({ length: 50 }, (_, index) => ({ key: Buffer.from(`order-${index}`), value: Buffer.alloc(100, index) }));

  const records = recordsIn({ firstOffset: 9n, records: entries, compression });

  expect(records.map((record) => inBytes(record, new TextMemory()))).toEqual(entries.map(expected));
});

test("text in ASCII comes as text, and what is none as bytes", () => {
  const headers = [
    [Buffer.from("plain"), Buffer.from("order")],
    [Buffer.from("größe"), Buffer.from("größe")],
  ] as const;

  const [record] = recordsIn({ firstOffset: 0n, records: [{ key: Buffer.from("order-1"), headers }] });

  expect(record?.read(new TextMemory())).toMatchObject({
    key: "order-1",
    headers: [
      ["plain", "order"],
      ["größe", new Uint8Array(Buffer.from("größe"))],
    ],
  });
});

test("no key, no value and a header without a value are null", () => {
  const noBytes = 1; // Varints have their sign in the lowest bit: this is -1.
  const content = Buffer.from([noBytes, noBytes, 2, 2, 0x61, noBytes]);

  const record = new LogRecord({ offset: 0n, timestamp: 0, bytes: content, start: 0, end: content.length });

  expect(record.read(new TextMemory())).toEqual({ key: null, value: null, headers: [["a", null]] });
});

test("where the broker sets the time, a record has that of its batch", () => {
  const appendTime = 8;
  const records = recordsIn({ firstOffset: 0n, records: [{ timestamp: 1_000 }, { timestamp: 5_000 }], attributes: appendTime });

  expect(records.map(({ timestamp }) => timestamp)).toEqual([5_000, 5_000]);
});

test("a format of before Kafka 0.11 is refused", () => {
  const log = logOf({ firstOffset: 0n, records: [{}] });
  log.writeInt8(1, 16);

  expect(() => [...recordBatches(log)]).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED", retryable: false }));
});

test("a batch that is not what was written is refused, whichever bit of it has changed", () => {
  const log = logOf({ firstOffset: 7n, records: [{ key: Buffer.from("order-1"), value: Buffer.from("paid") }] });
  const checkedFrom = 17;
  fc.assert(
    fc.property(fc.integer({ min: checkedFrom, max: log.length - 1 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const changed = Buffer.from(log);
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << bit), at);

      expect(() => [...recordBatches(changed)]).toThrow(
        expect.objectContaining({ code: "ERR_CONNECTION_FAILED", retryable: true, message: expect.stringContaining("offset 7") }),
      );
    }),
  );
});

test("a batch whose records go beyond its end is refused", () => {
  const [batch] = recordBatches(logOf({ firstOffset: 0n, records: [{ value: Buffer.from("paid") }] }));
  const longer = { firstOffset: 0n, bytes: Buffer.from(batch?.bytes ?? []) };
  longer.bytes[61] = 100;

  expect(() => recordsOf(longer, 0n, [])).toThrow(expect.objectContaining({ code: "ERR_CONNECTION_FAILED" }));
});

test("bytes that are no record are read to their end, without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (given) => {
      const content = Buffer.from(given);
      const record = new LogRecord({ offset: 0n, timestamp: 0, bytes: content, start: 0, end: content.length });

      const { headers } = record.read(new TextMemory());

      expect(headers.length).toBeLessThanOrEqual(content.length);
    }),
  );
});

test("a number of 53 bits is read, and its sign", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n - 1n }), (number) => {
      const written = Buffer.from(varint(number));

      expect(new BytesReader(written, 0, written.length).number()).toBe(Number(number));
    }),
  );
});

function recordsIn(...batches: readonly LogBatch[]): readonly LogRecord[] {
  const records: LogRecord[] = [];
  for (const batch of recordBatches(logOf(...batches))) recordsOf(batch, 0n, records);
  return records;
}

function inBytes(record: LogRecord, texts: TextMemory): unknown {
  const { key, value, headers } = record.read(texts);
  return { key: hex(key), value: hex(value), headers: headers.map(([name, each]) => [name, hex(each)]) };
}

function expected({ key, value = Buffer.alloc(0), headers = [] }: LogEntry): unknown {
  return { key: hex(key ?? null), value: hex(value), headers: headers.map(([name, each]) => [name.toString(), hex(each)]) };
}

function hex(part: string | Uint8Array | null): string | null {
  return part === null ? null : Buffer.from(part).toString("hex");
}

function varint(number: bigint): readonly number[] {
  let left = number >= 0n ? number * 2n : -number * 2n - 1n;
  const written: number[] = [];
  for (; left >= 0x80n; left >>= 7n) written.push(Number(left & 0x7fn) | 0x80);
  return [...written, Number(left)];
}
