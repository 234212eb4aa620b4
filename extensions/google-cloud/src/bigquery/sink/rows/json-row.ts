import { toBase64 } from "event-driver";

import type { Column } from "./column.ts";
import type { Cell, CellValue, Scalar } from "./convert.ts";

import { dateText, timestampText } from "./time.ts";

/** What insertAll takes for a value. */
export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonRow;

export interface JsonRow {
  readonly [column: string]: JsonValue;
}

/** One row as insertAll takes it: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll */
export function jsonRow(cells: readonly Cell[]): JsonRow {
  const row: Record<string, JsonValue> = Object.create(null);
  for (const { column, values } of cells) {
    const all = values.map((value) => jsonValue(column, value));
    const [only] = all;
    if (column.repeated) row[column.name] = all;
    else if (only !== undefined) row[column.name] = only;
  }
  return row;
}

function jsonValue(column: Column, value: CellValue): JsonValue {
  return "record" in value ? jsonRow(value.record) : jsonScalar(column, value.scalar);
}

function jsonScalar({ type }: Column, value: Scalar): JsonValue {
  if (typeof value === "bigint") return type === "TIMESTAMP" ? timestampText(value) : String(value);
  if (value instanceof Uint8Array) return toBase64(value);
  if (typeof value !== "number") return value;
  if (type === "DATE") return dateText(value);
  // JSON has no such numbers; BigQuery reads their names.
  return Number.isFinite(value) ? value : String(value);
}
