import { EventDriverError, quote } from "event-driver";

import type { Misfit } from "./rows/convert.ts";

/** A table as errors name it. */
export interface TableName {
  readonly dataset: string;
  readonly table: string;
}

/** What toRow gave does not fit the table. */
export function misfitRow(id: string, target: TableName, misfit: Misfit): EventDriverError {
  return rowRefused(id, target, misfit.message);
}

/** BigQuery took the others of its batch, but not this one. What it said is left out, for it may quote the row. */
export function refusedRow(id: string, target: TableName, problem: string): EventDriverError {
  return rowRefused(id, target, `BigQuery does not take the value of ${problem}`);
}

export function tooLargeRow(id: string, target: TableName, bytes: number, limit: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `the row of message ${quote(id)} for ${shown(target)} has ${bytes} bytes, allowed are ${limit}; keep its content elsewhere and store where it is`,
    retryable: false,
  });
}

/** A whole request failed, and with it each of its rows. */
export function failedRow(id: string, target: TableName, problem: string, attempts: number, cause: unknown): EventDriverError {
  const often = attempts === 1 ? "" : `, at the last of ${attempts} attempts`;
  return new EventDriverError("ERR_SINK_FAILED", {
    message: `BigQuery ${problem} for ${shown(target)}${often}: message ${quote(id)} has to be delivered again; its row may be stored all the same`,
    retryable: true,
    cause,
  });
}

/** The table could not be looked at, so no row can be made. */
export function unopenedSink(target: TableName, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_SINK_FAILED", {
    message: `bigQuerySink cannot read the columns of ${shown(target)}: ${adviceOn(cause)}`,
    retryable: true,
    cause,
  });
}

export function fullBuffer(id: string, target: TableName): EventDriverError {
  return new EventDriverError("ERR_OVERLOADED", {
    message: `the buffer of rows for ${shown(target)} is full, so message ${quote(id)} was not taken; deliver it again later`,
    retryable: true,
    retryAfter: 1_000,
  });
}

export function closedSink(id: string, target: TableName): EventDriverError {
  return new EventDriverError("ERR_SINK_CLOSED", {
    message: `the sink of ${shown(target)} is closed, so message ${quote(id)} was not stored; deliver it again to a process that runs`,
    retryable: true,
  });
}

/** It was still open when `close` stopped waiting. */
export function abandonedRow(id: string, target: TableName): EventDriverError {
  return new EventDriverError("ERR_SINK_CLOSED", {
    message: `the sink of ${shown(target)} was closed before message ${quote(id)} had an answer; deliver it again, though its row may be stored all the same`,
    retryable: true,
  });
}

/** What to do, by the code of gRPC, of HTTP or of Node. */
function adviceOn(cause: unknown): string {
  switch (cause instanceof Error && "code" in cause ? cause.code : undefined) {
    case 5:
    case 404:
      return "create the dataset and the table, or correct their names";
    case 7:
    case 403:
      return "grant the account roles/bigquery.dataEditor on the table";
    case 16:
    case 401:
      return "give credentials that Google accepts";
    case "ERR_MODULE_NOT_FOUND":
      return "npm install @google-cloud/bigquery-storage, or @google-cloud/bigquery for insertAll";
    default:
      return "see the cause";
  }
}

function rowRefused(id: string, target: TableName, problem: string): EventDriverError {
  return new EventDriverError("ERR_ROW_REFUSED", {
    message: `message ${quote(id)} cannot be stored in ${shown(target)}: ${problem}`,
    retryable: false,
  });
}

function shown({ dataset, table }: TableName): string {
  return quote(`${dataset}.${table}`);
}
