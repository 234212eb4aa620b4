import type { AnyMessage } from "event-driver";

import type { TableRow } from "./sink-options.ts";

/** A row ready to be sent. */
export interface EncodedRow {
  /** What counts against the limits of a batch and of the buffer. */
  readonly bytes: number;
  /** What the table looked like when it was encoded. Only rows of the same shape go into one request. */
  readonly shape: unknown;
}

/** A row that BigQuery did not take, while it read the others. */
export interface RowRefusal {
  /** Its place in the request. */
  readonly index: number;
  /** What is wrong, without a word of what the row holds. */
  readonly problem: string;
}

/** What became of one request. */
export type Answer =
  /** Every row is stored but the refused ones. */
  | { readonly status: "stored"; readonly refused: readonly RowRefusal[] }
  /** Nothing is stored: send it again without the refused ones. */
  | { readonly status: "refused"; readonly refused: readonly RowRefusal[] }
  /** Nothing is stored, and it is not said because of which row. */
  | { readonly status: "unreadable"; readonly problem: string; readonly cause: unknown }
  /** Nothing is stored, or it is not known; `passing` when the same request may soon succeed. */
  | { readonly status: "failed"; readonly passing: boolean; readonly problem: string; readonly cause: unknown };

/**
 * One way of storing rows in one table.
 *
 * - `open` may be called any time; it asks BigQuery only where what the table looks like is not known, or no longer.
 * - `encode` needs one `open` to have resolved. Its rows stay good for `append`, also when the table has changed since.
 * - `append` may be called again while others are open, unless the writer says otherwise. It never rejects.
 * - `append` of the very same array as before repeats that append.
 * - `close` ends what is still open as failed, and closes only what the writer itself has opened.
 */
export interface RowWriter<Row extends EncodedRow> {
  open(): Promise<void>;
  /** @throws Misfit where the row does not fit the table */
  encode(row: TableRow, message: AnyMessage): Row;
  append(rows: readonly Row[]): Promise<Answer>;
  close(): Promise<void>;
}
