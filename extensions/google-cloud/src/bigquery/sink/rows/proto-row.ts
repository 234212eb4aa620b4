import type { protos } from "@google-cloud/bigquery-storage";

import type { Column, Columns, ColumnType } from "./column.ts";
import type { Cell, Scalar } from "./convert.ts";

import { ByteWriter } from "./byte-writer.ts";

type Descriptor = protos.google.protobuf.IDescriptorProto;
type FieldDescriptor = protos.google.protobuf.IFieldDescriptorProto;

/** How the Storage Write API takes each type: https://cloud.google.com/bigquery/docs/supported-data-types */
const wireTypes: Readonly<Record<ColumnType, NonNullable<FieldDescriptor["type"]>>> = {
  BIGNUMERIC: "TYPE_STRING",
  BOOL: "TYPE_BOOL",
  BYTES: "TYPE_BYTES",
  DATE: "TYPE_INT32",
  DATETIME: "TYPE_STRING",
  FLOAT64: "TYPE_DOUBLE",
  GEOGRAPHY: "TYPE_STRING",
  INT64: "TYPE_INT64",
  INTERVAL: "TYPE_STRING",
  JSON: "TYPE_STRING",
  NUMERIC: "TYPE_STRING",
  RECORD: "TYPE_MESSAGE",
  STRING: "TYPE_STRING",
  TIME: "TYPE_STRING",
  TIMESTAMP: "TYPE_INT64",
};

/** Says to BigQuery how {@link protoRow} writes rows of these columns. */
export function protoDescriptor(columns: Columns, name = "Row"): Descriptor {
  const all = [...columns.values()];
  return {
    name,
    field: all.map((column) => fieldDescriptor(column, name)),
    nestedType: all.filter(({ type }) => type === "RECORD").map((column) => protoDescriptor(column.columns, nestedName(name, column))),
  };
}

/** One row as a protobuf message. */
export function protoRow(cells: readonly Cell[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { column, values } of cells) {
    for (const value of values) {
      if ("record" in value) writer.bytes(column.number, protoRow(value.record));
      else writeScalar(writer, column, value.scalar);
    }
  }
  return writer.finish();
}

function fieldDescriptor(column: Column, inside: string): FieldDescriptor {
  // A column may be named in ways that a field may not; then its name goes along as an annotation.
  const plain = /^[a-z_]\w*$/i.test(column.name);
  return {
    name: plain ? column.name : `column_${column.number}`,
    number: column.number,
    label: column.repeated ? "LABEL_REPEATED" : "LABEL_OPTIONAL",
    type: wireTypes[column.type],
    ...(column.type === "RECORD" && { typeName: nestedName(inside, column) }),
    ...(!plain && { options: { ".google.cloud.bigquery.storage.v1.columnName": column.name } }),
  };
}

/** Unique in the whole descriptor, so that it is found from wherever it is named. */
function nestedName(inside: string, { number }: Column): string {
  return `${inside}_${number}`;
}

function writeScalar(writer: ByteWriter, { type, number }: Column, value: Scalar): void {
  if (typeof value === "string") writer.text(number, value);
  else if (typeof value === "bigint") writer.varint(number, value);
  else if (typeof value === "boolean") writer.varint(number, value ? 1n : 0n);
  else if (value instanceof Uint8Array) writer.bytes(number, value);
  else if (type === "DATE") writer.varint(number, BigInt(value));
  else writer.double(number, value);
}
