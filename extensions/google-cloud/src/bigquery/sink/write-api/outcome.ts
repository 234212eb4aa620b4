import type { Answer, RowRefusal } from "../row-writer.ts";
import type { AppendResponse } from "./append-connection.ts";

import { columnNamedIn, type Columns } from "../rows/column.ts";
import { isPassing, isUnclear, type Status, statusOf, statusOfCode } from "./status.ts";

/** What came of one append. */
export type Outcome = Extract<Answer, { readonly refused: readonly RowRefusal[] }> | Failure;

/** An append that has stored nothing, as far as is known. */
export interface Failure {
  readonly status: "failed";
  readonly code: Status;
  /** Whether the rows may be stored all the same. */
  readonly unclear: boolean;
  /** Whether the same append may soon succeed. */
  readonly passing: boolean;
  readonly cause: unknown;
}

/** Reads an answer. It is always clear: all was stored, or nothing. */
export function readResponse({ error, rowErrors }: AppendResponse, columns: Columns): Outcome {
  if (rowErrors && rowErrors.length > 0) {
    return { status: "refused", refused: rowErrors.map(({ index, message }) => refusal(Number(index), message ?? "", columns)) };
  }
  if (!error) return { status: "stored", refused: [] };
  const code = statusOfCode(error.code);
  const cause = Object.assign(new Error(error.message ?? "BigQuery gave no reason"), { code: error.code });
  return { status: "failed", code, unclear: false, passing: isPassing(code), cause };
}

/** Reads what an append, or another call, rejected with. */
export function readRejection(cause: unknown): Failure {
  const code = statusOf(cause);
  return { status: "failed", code, unclear: isUnclear(code), passing: isPassing(code), cause };
}

/** What a failure is for whoever sends the rows. */
export function asAnswer({ code, unclear, passing, cause }: Failure): Answer {
  const problem = code === "NO_ANSWER" ? "gave no answer" : `answered ${code}`;
  if (code === "INVALID_ARGUMENT" && !unclear) return { status: "unreadable", problem, cause };
  return { status: "failed", passing, problem, cause };
}

/** BigQuery's own words may quote the value, so only the name of a column is taken from them. */
function refusal(index: number, message: string, columns: Columns): RowRefusal {
  const column = columnNamedIn(message, columns);
  return { index, problem: column === undefined ? "a column that it does not name" : `column ${column}` };
}
