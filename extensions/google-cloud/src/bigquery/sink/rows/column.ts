/** The types of columns that rows can be written to, by the names of standard SQL. */
export type ColumnType =
  | "BIGNUMERIC"
  | "BOOL"
  | "BYTES"
  | "DATE"
  | "DATETIME"
  | "FLOAT64"
  | "GEOGRAPHY"
  | "INT64"
  | "INTERVAL"
  | "JSON"
  | "NUMERIC"
  | "RECORD"
  | "STRING"
  | "TIME"
  | "TIMESTAMP";

/** One column of a table, or of a record in it. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Its place, from 1: its number on the wire. */
  readonly number: number;
  readonly repeated: boolean;
  /** Whether a row without it is refused. */
  readonly required: boolean;
  /** Those of a record. */
  readonly columns: Columns;
}

/** Columns by their names in lower case, in the order of the table. */
export type Columns = ReadonlyMap<string, Column>;

/** What the two APIs say of a column, where they say the same. */
export interface DescribedField {
  readonly name?: string | null | undefined;
  readonly type?: unknown;
  readonly mode?: unknown;
  readonly fields?: readonly DescribedField[] | null | undefined;
  readonly defaultValueExpression?: string | null | undefined;
  readonly rangeElementType?: { readonly type?: unknown } | null | undefined;
}

/** Each name that one of the APIs has for a type. */
const types: ReadonlyMap<unknown, ColumnType> = new Map([
  ["BIGNUMERIC", "BIGNUMERIC"],
  ["BOOL", "BOOL"],
  ["BOOLEAN", "BOOL"],
  ["BYTES", "BYTES"],
  ["DATE", "DATE"],
  ["DATETIME", "DATETIME"],
  ["DOUBLE", "FLOAT64"],
  ["FLOAT", "FLOAT64"],
  ["FLOAT64", "FLOAT64"],
  ["GEOGRAPHY", "GEOGRAPHY"],
  ["INT64", "INT64"],
  ["INTEGER", "INT64"],
  ["INTERVAL", "INTERVAL"],
  ["JSON", "JSON"],
  ["NUMERIC", "NUMERIC"],
  ["RANGE", "RECORD"],
  ["RECORD", "RECORD"],
  ["STRING", "STRING"],
  ["STRUCT", "RECORD"],
  ["TIME", "TIME"],
  ["TIMESTAMP", "TIMESTAMP"],
]);

/**
 * The columns of a table as either API describes it. A column of a type that is not known here is left out: rows can be written without it.
 */
export function readColumns(fields: readonly DescribedField[] | null | undefined): Columns {
  const columns = new Map<string, Column>();
  for (const [index, field] of (fields ?? []).entries()) {
    const type = types.get(field.type);
    if (type === undefined || !field.name) continue;
    columns.set(field.name.toLowerCase(), {
      name: field.name,
      type,
      number: index + 1,
      repeated: field.mode === "REPEATED",
      required: field.mode === "REQUIRED" && !field.defaultValueExpression,
      columns: readColumns(field.type === "RANGE" ? rangeFields(field) : field.fields),
    });
  }
  return columns;
}

/** The first column that a text names, and be it in a record; `undefined` where it names none. */
export function columnNamedIn(text: string, columns: Columns): string | undefined {
  const words = new Set(text.toLowerCase().split(/[^\p{L}\p{N}_]+/u));
  const named = [...columns].find(([name]) => words.has(name))?.[1];
  return named?.name ?? [...columns.values()].map((column) => columnNamedIn(text, column.columns)).find((name) => name !== undefined);
}

/** A range is written as a record of its two ends. */
function rangeFields({ rangeElementType }: DescribedField): readonly DescribedField[] {
  return ["start", "end"].map((name) => ({ name, type: rangeElementType?.type }));
}
