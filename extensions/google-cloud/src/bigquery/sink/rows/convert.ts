import type { TableRow, TableValue } from "../sink-options.ts";
import type { Column, Columns } from "./column.ts";

import { daysOf, microsecondsOf, microsecondsOfDate } from "./time.ts";

/**
 * One value as its column holds it: TIMESTAMP as microseconds in a bigint, DATE as days in a number, INT64 as a bigint, FLOAT64 as a number, BOOL as
 * a boolean, BYTES as bytes, all else as text.
 */
export type Scalar = string | bigint | number | boolean | Uint8Array;

/** What one column of one row is given. */
export interface Cell {
  readonly column: Column;
  readonly values: readonly CellValue[];
}

export type CellValue = { readonly scalar: Scalar } | { readonly record: readonly Cell[] };

/** A value that its column cannot hold. It says which column, and never what was given. */
export class Misfit extends Error {
  /** The column, with the records around it, such as `address.zip`. */
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`column ${path} ${problem}`);
    this.path = path;
  }
}

/**
 * Reads a row by the columns of its table.
 *
 * @throws Misfit where a column does not exist, is given what it cannot hold, or is missing and required
 */
export function convertRow(columns: Columns, row: TableRow, inside = ""): readonly Cell[] {
  const cells: Cell[] = [];
  const given = new Set<Column>();
  for (const [name, value] of Object.entries(row)) {
    const column = columns.get(name.toLowerCase());
    if (column === undefined) throw new Misfit(inside + name, "is not in the table; add it there, or leave it out of toRow");
    if (given.has(column)) throw new Misfit(inside + column.name, "is given twice; names differ by more than upper and lower case");
    if (value === undefined || value === null) continue;
    given.add(column);
    cells.push({ column, values: convertColumn(column, value, inside + column.name) });
  }
  for (const column of columns.values()) {
    if (column.required && !given.has(column)) throw new Misfit(inside + column.name, "is REQUIRED, and toRow gives it nothing");
  }
  return cells;
}

function convertColumn(column: Column, value: TableValue, path: string): readonly CellValue[] {
  if (!column.repeated) return [convertOne(column, value, path)];
  if (!Array.isArray(value)) throw new Misfit(path, `is REPEATED and takes an array, toRow gives ${kindOf(value)}`);
  return value.map((element: TableValue, index) => convertOne(column, element, `${path}[${index}]`));
}

function convertOne(column: Column, value: TableValue, path: string): CellValue {
  if (column.type === "RECORD") {
    if (!isRecord(value)) throw new Misfit(path, `is a RECORD and takes an object, toRow gives ${kindOf(value)}`);
    return { record: convertRow(column.columns, value, `${path}.`) };
  }
  const { takes, read } = scalars[column.type];
  const scalar = value === null || value === undefined ? undefined : read(value);
  if (scalar === undefined) throw new Misfit(path, `is of type ${column.type} and takes ${takes}, toRow gives ${kindOf(value)}`);
  return { scalar };
}

interface ScalarRule {
  /** What it takes, for errors. */
  readonly takes: string;
  /** `undefined` where it does not take that. */
  readonly read: (value: NonNullable<TableValue>) => Scalar | undefined;
}

const decimal: ScalarRule = { takes: "decimal text, a bigint or a finite number", read: readDecimal };

const scalars: Readonly<Record<Exclude<Column["type"], "RECORD">, ScalarRule>> = {
  BIGNUMERIC: decimal,
  BOOL: { takes: "a boolean", read: (value) => (typeof value === "boolean" ? value : undefined) },
  BYTES: { takes: "a Uint8Array", read: (value) => (value instanceof Uint8Array ? value : undefined) },
  DATE: { takes: "text such as 2026-07-01, or a Date", read: readDate },
  DATETIME: { takes: "text such as 2026-07-01T12:30:00, or a Date", read: readDateTime },
  FLOAT64: { takes: "a number", read: (value) => (typeof value === "number" ? value : undefined) },
  GEOGRAPHY: { takes: "text of WKT or GeoJSON", read: readText },
  INT64: { takes: "a bigint of 64 bits or a whole number that is safe", read: readInteger },
  INTERVAL: { takes: "text such as 0-0 1 0:0:0", read: readText },
  JSON: { takes: "a value that JSON can hold, or JSON text", read: readJson },
  NUMERIC: decimal,
  STRING: { takes: "text", read: readText },
  TIME: { takes: "text such as 12:30:00", read: (value) => matching(value, /^\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?$/) },
  TIMESTAMP: { takes: "a Date or RFC 3339 text, of the years 1 to 9999", read: readTimestamp },
};

function readText(value: NonNullable<TableValue>): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function readInteger(value: NonNullable<TableValue>): bigint | undefined {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === "bigint" && BigInt.asIntN(64, value) === value ? value : undefined;
}

function readDecimal(value: NonNullable<TableValue>): string | undefined {
  if (typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value))) return String(value);
  return matching(value, /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/);
}

function readTimestamp(value: NonNullable<TableValue>): bigint | undefined {
  if (value instanceof Date) return microsecondsOfDate(value);
  return typeof value === "string" ? microsecondsOf(value) : undefined;
}

function readDate(value: NonNullable<TableValue>): number | undefined {
  const text = value instanceof Date ? utcText(value)?.slice(0, 10) : value;
  return typeof text === "string" ? daysOf(text) : undefined;
}

function readDateTime(value: NonNullable<TableValue>): string | undefined {
  const text = value instanceof Date ? utcText(value)?.slice(0, 23) : value;
  return text === undefined ? undefined : matching(text, /^\d{4}-\d{1,2}-\d{1,2}[ Tt]\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?$/);
}

function readJson(value: NonNullable<TableValue>): string | undefined {
  try {
    if (typeof value !== "string") return JSON.stringify(value);
    JSON.parse(value);
    return value;
  } catch {
    // A cycle, a bigint, or text that is no JSON: what is wrong is said by the rule, and the engine's own words would show the content.
    return undefined;
  }
}

function matching(value: NonNullable<TableValue>, pattern: RegExp): string | undefined {
  return typeof value === "string" && pattern.test(value) ? value : undefined;
}

function utcText(date: Date): string | undefined {
  return microsecondsOfDate(date) === undefined ? undefined : date.toISOString();
}

function isRecord(value: TableValue): value is TableRow {
  if (typeof value !== "object" || value === null) return false;
  return !Array.isArray(value) && !(value instanceof Date) && !(value instanceof Uint8Array);
}

/** What a value is, without showing it. */
function kindOf(value: TableValue): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "string") return "text";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
