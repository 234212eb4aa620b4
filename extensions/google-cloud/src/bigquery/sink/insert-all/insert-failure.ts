import type { Answer, RowRefusal } from "../row-writer.ts";

import { columnNamedIn, type Columns } from "../rows/column.ts";

/** One row of a request that was refused, as BigQuery tells it. */
interface InsertError {
  readonly index: number;
  readonly errors: readonly { readonly reason: string; readonly location: string; readonly message: string }[];
}

/** Reasons of status 403 that pass. */
const passingReasons: ReadonlySet<unknown> = new Set(["quotaExceeded", "rateLimitExceeded"]);

/** What the client's rejection means for the rows. */
export function readFailure(error: unknown, columns: Columns): Answer {
  const insertErrors = insertErrorsOf(error);
  if (insertErrors.length > 0) return readInsertErrors(insertErrors, error, columns);
  const status = part(error, "code");
  if (typeof status !== "number") return { status: "failed", passing: true, problem: "gave no answer", cause: error };
  const problem = `answered ${status}`;
  // 413 says that the request is too large, so less of it may do.
  if (status === 400 || status === 413) return { status: "unreadable", problem, cause: error };
  return { status: "failed", passing: isPassing(status, error), problem, cause: error };
}

function readInsertErrors(insertErrors: readonly InsertError[], error: unknown, columns: Columns): Answer {
  const invalid = insertErrors.filter(({ errors }) => errors.some(({ reason }) => reason === "invalid"));
  // A row that failed otherwise is not at fault. All are sent again, for by their ids those that are there are mostly recognised.
  if (invalid.length < insertErrors.length) return { status: "failed", passing: true, problem: "did not take every row", cause: error };
  return { status: "stored", refused: invalid.map((each) => refusal(each, columns)) };
}

/** Its words may quote the value, so only the name of a column is taken from them. */
function refusal({ index, errors }: InsertError, columns: Columns): RowRefusal {
  const invalid = errors.find(({ reason }) => reason === "invalid");
  const column = columnNamedIn(`${invalid?.location} ${invalid?.message}`, columns);
  return { index, problem: column === undefined ? "a column that it does not name" : `column ${column}` };
}

function isPassing(status: number, error: unknown): boolean {
  if (status === 403) return list(part(error, "errors")).some((each) => passingReasons.has(part(each, "reason")));
  return status === 408 || status === 429 || status >= 500;
}

function insertErrorsOf(error: unknown): readonly InsertError[] {
  return list(part(part(error, "response"), "insertErrors")).map((each) => ({
    index: Number(part(each, "index") ?? 0),
    errors: list(part(each, "errors")).map((one) => ({
      reason: text(part(one, "reason")),
      location: text(part(one, "location")),
      message: text(part(one, "message")),
    })),
  }));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function part(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
