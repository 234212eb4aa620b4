import { EventDriverError, isEventDriverError } from "event-driver";

/**
 * What to do about failures that repeat until someone acts, by the reason that BigQuery gives:
 * https://cloud.google.com/bigquery/docs/error-messages
 */
const terminal: Readonly<Record<string, string>> = {
  accessDenied: "grant this account roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on the dataset",
  authError: "give the client credentials that BigQuery accepts",
  billingNotEnabled: "enable billing for the project",
  bytesBilledLimitExceeded: "raise maximumBytesBilled, or keep less in the table by partitionExpiration",
  invalid: "compare the table's columns and the options with the documentation",
  invalidQuery: "compare the table's columns with those that createTable makes",
  notFound: "create the dataset and the table, or give createTable: true; a dataset outside of US and EU needs the location option",
  required: "give the client credentials that BigQuery accepts",
  responseTooLarge: "keep smaller contents under one key",
};

/** Reasons that pass by themselves, whatever HTTP status they come with. */
const passing: ReadonlySet<string> = new Set([
  "backendError",
  "internalError",
  "jobBackendError",
  "jobInternalError",
  "jobRateLimitExceeded",
  "quotaExceeded",
  "rateLimitExceeded",
  "resourceInUse",
  "stopped",
  "tableUnavailable",
  "timeout",
]);

/** The failure as a caller of the store sees it. Only the reason is told of what BigQuery says; the rest is in the cause. */
export function storeFailure(operation: string, table: string, error: unknown): EventDriverError {
  if (isEventDriverError(error)) return error;
  const reason = reasonOf(error);
  const status = statusOf(error);
  const told = reason ?? (status === undefined ? "no answer" : `status ${status}`);
  const where = `bigQueryEventStore: ${operation} on ${table}`;
  if (status === 413) {
    return new EventDriverError("ERR_TOO_LARGE", {
      message: `${where} was refused, for the message is larger than BigQuery takes in one request; keep its content elsewhere`,
      retryable: false,
      cause: error,
    });
  }
  if (isTerminal(reason, status)) {
    const advice = terminal[reason ?? ""] ?? "the cause has what BigQuery says";
    return new EventDriverError("ERR_STORE_FAILED", { message: `${where} failed (${told}): ${advice}`, retryable: false, cause: error });
  }
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `${where} failed (${told}); whether a write was done is unknown, try again`,
    retryable: true,
    cause: error,
  });
}

export function isNotFound(error: unknown): boolean {
  return reasonOf(error) === "notFound" || statusOf(error) === 404;
}

/** Whether there is one of that name already: a table, or a job. */
export function isDuplicate(error: unknown): boolean {
  return reasonOf(error) === "duplicate" || statusOf(error) === 409;
}

/** The reason decides, for one status stands for many: 403 is both for access that is refused and for a quota that is used up. */
function isTerminal(reason: string | undefined, status: number | undefined): boolean {
  if (reason !== undefined && passing.has(reason)) return false;
  if (reason !== undefined && reason in terminal) return true;
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function reasonOf(error: unknown): string | undefined {
  const errors = part(error, "errors");
  const reason = Array.isArray(errors) ? part(errors[0], "reason") : undefined;
  return typeof reason === "string" ? reason : undefined;
}

/** The HTTP status. A failed job has none, and a failed connection has a text for its code. */
function statusOf(error: unknown): number | undefined {
  const code = part(error, "code");
  return typeof code === "number" ? code : undefined;
}

function part(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
