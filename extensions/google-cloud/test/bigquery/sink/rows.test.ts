import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { TableRow, TableValue } from "../../../src/bigquery/sink/sink-options.ts";

import { type ColumnType, columnNamedIn, readColumns } from "../../../src/bigquery/sink/rows/column.ts";
import { convertRow, type Scalar } from "../../../src/bigquery/sink/rows/convert.ts";
import { jsonRow } from "../../../src/bigquery/sink/rows/json-row.ts";
import { protoDescriptor, protoRow } from "../../../src/bigquery/sink/rows/proto-row.ts";
import { daysOf, microsecondsOf, timestampText } from "../../../src/bigquery/sink/rows/time.ts";

const orders = readColumns([
  { name: "id", type: "STRING", mode: "REQUIRED" },
  { name: "Total", type: "NUMERIC", mode: "NULLABLE" },
  { name: "stored_at", type: "TIMESTAMP", mode: "REQUIRED", defaultValueExpression: "CURRENT_TIMESTAMP()" },
  { name: "address", type: "STRUCT", mode: "NULLABLE", fields: [{ name: "zip", type: "INT64", mode: "REQUIRED" }] },
  { name: "lines", type: "RECORD", mode: "REPEATED", fields: [{ name: "sku", type: "STRING" }] },
  { name: "valid", type: "RANGE", rangeElementType: { type: "DATE" } },
]);

describe("a value fits its column", () => {
  const cases: readonly (readonly [ColumnType, TableValue, Scalar])[] = [
    ["STRING", "ü", "ü"],
    ["STRING", "", ""],
    ["BYTES", new Uint8Array([1]), new Uint8Array([1])],
    ["BOOL", false, false],
    ["INT64", 0, 0n],
    ["INT64", -9_007_199_254_740_991, -9_007_199_254_740_991n],
    ["INT64", 9_223_372_036_854_775_807n, 9_223_372_036_854_775_807n],
    ["FLOAT64", Number.NaN, Number.NaN],
    ["NUMERIC", "0.10", "0.10"],
    ["NUMERIC", ".5", ".5"],
    ["NUMERIC", 0.1, "0.1"],
    ["BIGNUMERIC", 10n ** 30n, `1${"0".repeat(30)}`],
    ["TIMESTAMP", new Date(1_500), 1_500_000n],
    ["TIMESTAMP", "1970-01-01T00:00:00.0000019Z", 1n],
    ["TIMESTAMP", "1970-01-01t01:30:00+01:30", 0n],
    ["TIMESTAMP", "1969-12-31T23:59:59.999999Z", -1n],
    ["TIMESTAMP", "2016-12-31T23:59:60Z", 1_483_228_800_000_000n],
    ["DATE", "1970-01-02", 1],
    ["DATE", new Date("1969-12-31T23:00:00Z"), -1],
    ["DATETIME", "2026-07-01 12:30:00.5", "2026-07-01 12:30:00.5"],
    ["DATETIME", new Date(0), "1970-01-01T00:00:00.000"],
    ["TIME", "12:30:00", "12:30:00"],
    ["JSON", { gift: [true, null] }, '{"gift":[true,null]}'],
    ["JSON", "[1.10]", "[1.10]"],
    ["GEOGRAPHY", "POINT(1 2)", "POINT(1 2)"],
    ["INTERVAL", "0-0 1 0:0:0", "0-0 1 0:0:0"],
  ];

  test.each(cases)("%s takes %s", (type, given, expected) => {
    const cells = convertRow(readColumns([{ name: "c", type }]), { c: given });

    expect(cells[0]?.values).toEqual([{ scalar: expected }]);
  });

  test("a column named in other letters, or given nothing, or with a default, is no error", () => {
    const cells = convertRow(orders, { ID: "1", total: null, address: undefined });

    expect(cells.map(({ column }) => column.name)).toEqual(["id"]);
  });
});

describe("a value that does not fit is refused, by the name of its column and without being shown", () => {
  const cases: readonly (readonly [ColumnType, TableValue, string])[] = [
    ["STRING", 4711, "takes text, toRow gives a number"],
    ["BYTES", "4711", "takes a Uint8Array, toRow gives text"],
    ["BOOL", "4711", "takes a boolean"],
    ["INT64", 4711.5, "takes a bigint of 64 bits or a whole number that is safe"],
    ["INT64", 2 ** 53, "takes a bigint of 64 bits"],
    ["INT64", 2n ** 63n, "takes a bigint of 64 bits or a whole number that is safe, toRow gives a bigint"],
    ["INT64", "4711", "toRow gives text"],
    ["FLOAT64", "4711", "takes a number"],
    ["NUMERIC", "4,711", "takes decimal text"],
    ["NUMERIC", Number.POSITIVE_INFINITY, "takes decimal text"],
    ["TIMESTAMP", "2026-02-30T00:00:00Z", "takes a Date or RFC 3339 text"],
    ["TIMESTAMP", "2026-07-01T24:00:00Z", "takes a Date or RFC 3339 text"],
    ["TIMESTAMP", "2026-07-01T12:00:00", "takes a Date or RFC 3339 text"],
    ["TIMESTAMP", "0001-01-01T00:00:00+01:00", "of the years 1 to 9999"],
    ["TIMESTAMP", new Date(Number.NaN), "toRow gives an invalid Date"],
    ["TIMESTAMP", 4711, "toRow gives a number"],
    ["DATE", "2026-7-1", "takes text such as 2026-07-01"],
    ["DATE", "0000-01-01", "takes text such as 2026-07-01"],
    ["DATETIME", "4711", "takes text such as 2026-07-01T12:30:00"],
    ["TIME", "4711", "takes text such as 12:30:00"],
    ["JSON", "{4711", "takes a value that JSON can hold, or JSON text"],
    ["JSON", { a: 4711n }, "toRow gives an object"],
    ["STRING", ["4711"], "toRow gives an array"],
  ];

  test.each(cases)("%s refuses %s", (type, given, problem) => {
    const refusal = refusalOf(() => convertRow(readColumns([{ name: "c", type }]), { c: given }));

    expect(refusal).toContain(`column c is of type ${type} and takes`);
    expect(refusal).toContain(problem);
    expect(refusal).not.toContain("4711");
  });

  const rows: readonly (readonly [TableRow, string])[] = [
    [{}, "column id is REQUIRED, and toRow gives it nothing"],
    [{ id: "1", colour: "red" }, "column colour is not in the table"],
    [{ id: "1", total: "1", TOTAL: "2" }, "column Total is given twice"],
    [{ id: "1", address: {} }, "column address.zip is REQUIRED"],
    [{ id: "1", address: { zip: 1, town: "x" } }, "column address.town is not in the table"],
    [{ id: "1", address: "x" }, "column address is a RECORD and takes an object, toRow gives text"],
    [{ id: "1", address: [] }, "column address is a RECORD and takes an object, toRow gives an array"],
    [{ id: "1", lines: {} }, "column lines is REPEATED and takes an array, toRow gives an object"],
    [{ id: "1", lines: [{ sku: "a" }, { sku: 4711 }] }, "column lines[1].sku is of type STRING"],
    [{ id: "1", lines: [null] }, "column lines[0] is a RECORD and takes an object, toRow gives null"],
    [{ id: "1", valid: { start: "tomorrow" } }, "column valid.start is of type DATE"],
  ];

  test.each(rows)("%j", (row, problem) => {
    expect(refusalOf(() => convertRow(orders, row))).toContain(problem);
  });
});

describe("a row as protobuf", () => {
  test("is written as the wire format asks", () => {
    const columns = readColumns([
      { name: "text", type: "STRING" },
      { name: "number", type: "INT64" },
      { name: "double", type: "FLOAT64" },
      { name: "flag", type: "BOOL" },
      { name: "record", type: "RECORD", fields: [{ name: "inner", type: "INT64" }] },
      { name: "many", type: "INT64", mode: "REPEATED" },
    ]);

    const row = { text: "hi", number: -1, double: 1, flag: true, record: { inner: 150 }, many: [1, 300] };

    expect(Buffer.from(protoRow(convertRow(columns, row))).toString("hex")).toBe(
      ["0a026869", "10ffffffffffffffffff01", "19000000000000f03f", "2001", "2a03089601", "3001", "30ac02"].join(""),
    );
  });

  test("longer than any buffer that was made for it, it is whole", () => {
    const row = protoRow(convertRow(readColumns([{ name: "text", type: "STRING" }]), { text: "ab".repeat(100_000) }));

    expect(row.length).toBe(200_000 + 4);
    expect(Buffer.from(row.subarray(4)).toString()).toBe("ab".repeat(100_000));
  });

  test("any whole number reads back from its bytes", () => {
    const columns = readColumns([{ name: "number", type: "INT64" }]);

    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (number) => {
        const [, ...varint] = protoRow(convertRow(columns, { number }));
        const read = varint.reduce((sum, byte, index) => sum | (BigInt(byte & 0x7f) << BigInt(7 * index)), 0n);
        expect(BigInt.asIntN(64, read)).toBe(number);
      }),
    );
  });

  test("is described with a name, a number and a type for each column, and a message for each record", () => {
    expect(protoDescriptor(orders)).toEqual({
      name: "Row",
      field: [
        { name: "id", number: 1, label: "LABEL_OPTIONAL", type: "TYPE_STRING" },
        { name: "Total", number: 2, label: "LABEL_OPTIONAL", type: "TYPE_STRING" },
        { name: "stored_at", number: 3, label: "LABEL_OPTIONAL", type: "TYPE_INT64" },
        { name: "address", number: 4, label: "LABEL_OPTIONAL", type: "TYPE_MESSAGE", typeName: "Row_4" },
        { name: "lines", number: 5, label: "LABEL_REPEATED", type: "TYPE_MESSAGE", typeName: "Row_5" },
        { name: "valid", number: 6, label: "LABEL_OPTIONAL", type: "TYPE_MESSAGE", typeName: "Row_6" },
      ],
      nestedType: [
        { name: "Row_4", field: [{ name: "zip", number: 1, label: "LABEL_OPTIONAL", type: "TYPE_INT64" }], nestedType: [] },
        { name: "Row_5", field: [{ name: "sku", number: 1, label: "LABEL_OPTIONAL", type: "TYPE_STRING" }], nestedType: [] },
        {
          name: "Row_6",
          field: [
            { name: "start", number: 1, label: "LABEL_OPTIONAL", type: "TYPE_INT32" },
            { name: "end", number: 2, label: "LABEL_OPTIONAL", type: "TYPE_INT32" },
          ],
          nestedType: [],
        },
      ],
    });
  });

  test("a column whose name is no name of a field keeps it as an annotation", () => {
    expect(protoDescriptor(readColumns([{ name: "größe in cm", type: "INT64" }])).field).toEqual([
      {
        name: "column_1",
        number: 1,
        label: "LABEL_OPTIONAL",
        type: "TYPE_INT64",
        options: { ".google.cloud.bigquery.storage.v1.columnName": "größe in cm" },
      },
    ]);
  });
});

test("a row as JSON is written as insertAll takes it", () => {
  const columns = readColumns([
    { name: "count", type: "INTEGER" },
    { name: "ratio", type: "FLOAT" },
    { name: "worst", type: "FLOAT" },
    { name: "raw", type: "BYTES" },
    { name: "at", type: "TIMESTAMP" },
    { name: "day", type: "DATE" },
    { name: "paid", type: "BOOLEAN" },
    { name: "address", type: "RECORD", fields: [{ name: "zip", type: "STRING" }] },
    { name: "tags", type: "STRING", mode: "REPEATED" },
  ]);
  const row = {
    count: 9_007_199_254_740_993n,
    ratio: 0.5,
    worst: Number.NEGATIVE_INFINITY,
    raw: new Uint8Array([255]),
    at: "1969-12-31T23:59:59.999999Z",
    day: "2026-07-01",
    paid: false,
    address: { zip: "1" },
    tags: [],
  };

  expect(jsonRow(convertRow(columns, row))).toEqual({
    count: "9007199254740993",
    ratio: 0.5,
    worst: "-Infinity",
    raw: "/w==",
    at: "1969-12-31T23:59:59.999999Z",
    day: "2026-07-01",
    paid: false,
    address: { zip: "1" },
    tags: [],
  });
});

test("any time of the years 1 to 9999 is read to the microsecond, in whatever zone it is written", () => {
  const milliseconds = fc.integer({ min: Date.parse("0001-01-02T00:00:00Z"), max: Date.parse("9999-12-30T00:00:00Z") });

  fc.assert(
    fc.property(milliseconds, fc.integer({ min: 0, max: 999 }), fc.integer({ min: -23 * 60, max: 23 * 60 }), (instant, micros, offset) => {
      const expected = BigInt(instant) * 1_000n + BigInt(micros);
      const local = timestampText(expected + BigInt(offset) * 60_000_000n).slice(0, -1);
      const zone = [Math.trunc(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) => String(part).padStart(2, "0")).join(":");

      expect(microsecondsOf(`${local}${offset < 0 ? "-" : "+"}${zone}`)).toBe(expected);
      expect(microsecondsOf(timestampText(expected))).toBe(expected);
    }),
  );
});

test("text that is no time or day is never read as one, and never throws", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^\d{4}-/.test(text));
      expect([microsecondsOf(text), daysOf(text)]).toEqual([undefined, undefined]);
    }),
  );
});

test("whatever a row holds, it is converted or refused by the name of a column", () => {
  const value: fc.Arbitrary<TableValue> = fc.oneof(
    fc.string(),
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array(),
    fc.constantFrom(null, undefined),
    fc.array(fc.string()),
    fc.dictionary(fc.constantFrom("zip", "sku", "start", "constructor", "__proto__"), fc.integer()),
  );
  const row = fc.dictionary(fc.constantFrom("id", "total", "stored_at", "address", "lines", "valid", "constructor", "__proto__"), value);

  fc.assert(
    fc.property(row, (given) => {
      const refusal = refusalOf(() => protoRow(convertRow(orders, given)));
      expect(refusal ?? "column ").toMatch(/^column /);
    }),
  );
});

test("a column of a type that is not known can be left out of rows, and not be given", () => {
  const columns = readColumns([
    { name: "id", type: "STRING" },
    { name: "future", type: "VECTOR" },
    { name: "last", type: "BOOL" },
  ]);

  expect(protoDescriptor(columns).field?.map(({ name, number }) => [name, number])).toEqual([
    ["id", 1],
    ["last", 3],
  ]);
  expect(refusalOf(() => convertRow(columns, { future: "x" }))).toContain("column future is not in the table");
});

test("of what BigQuery says, only a name of a column is told, and be it in a record", () => {
  expect(columnNamedIn("Field Total: Value has length 4711", orders)).toBe("Total");
  expect(columnNamedIn("no such value 4711 for address.zip", orders)).toBe("address");
  expect(columnNamedIn("bad zip", orders)).toBe("zip");
  expect(columnNamedIn("Cannot read 4711", orders)).toBeUndefined();
});

function refusalOf(convert: () => unknown): string | undefined {
  try {
    convert();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
