/** The codes of gRPC, in their order from 0. */
const names = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** What a failed call came to; `NO_ANSWER` where no gRPC status was given, as when the connection breaks. */
export type Status = (typeof names)[number] | "NO_ANSWER";

/** After these, the same request may soon succeed. */
const passing: ReadonlySet<Status> = new Set<Status>([
  "ABORTED",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "NO_ANSWER",
  "RESOURCE_EXHAUSTED",
  "UNAVAILABLE",
  "UNKNOWN",
]);

/** After these, where they end the connection, the rows may have been stored all the same. */
const unclear: ReadonlySet<Status> = new Set<Status>([
  "ABORTED",
  "CANCELLED",
  "DATA_LOSS",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "NO_ANSWER",
  "UNAVAILABLE",
  "UNKNOWN",
]);

export function isPassing(status: Status): boolean {
  return passing.has(status);
}

export function isUnclear(status: Status): boolean {
  return unclear.has(status);
}

/** The status of what a call of the client rejected with. */
export function statusOf(error: unknown): Status {
  return error instanceof Error && "code" in error ? statusOfCode(error.code) : "NO_ANSWER";
}

/** The status that an answer carries. */
export function statusOfCode(code: unknown): Status {
  return (typeof code === "number" ? names[code] : undefined) ?? "NO_ANSWER";
}
