import { EventDriverError, isEventDriverError } from "event-driver";

/** What is done to the objects of a bucket. */
export type OperationKind = "list" | "read" | "write" | "remove";

/** The HTTP status that the service answered with; `undefined` where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const code = partOf(error, "code");
  if (typeof code === "number") return code;
  return typeof code === "string" && /^[1-5]\d\d$/.test(code) ? Number(code) : undefined;
}

/** Whether doing the same again soon may succeed. After one of these, other than 429, a write may have been done all the same. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  if (status === undefined) return !isMissingCredentials(error);
  return status === 408 || status >= 500 || isThrottled(error);
}

/** Whether the service asks for fewer requests; it has done nothing then. */
export function isThrottled(error: unknown): boolean {
  return statusOf(error) === 429 || (statusOf(error) === 403 && /rateLimitExceeded/i.test(`${reasonsOf(error)} ${messageOf(error)}`));
}

/** Whether it is the bucket that is not there, and not only an object in it. */
export function isMissingBucket(error: unknown): boolean {
  return statusOf(error) === 404 && /bucket does not exist/i.test(messageOf(error));
}

/** The failure as a caller of the store sees it: terminal where somebody has to change a role, a name or a credential first. */
export function storeFailure(bucket: string, kind: OperationKind, error: unknown): EventDriverError {
  if (isEventDriverError(error)) return error;
  const of = `gcsEventStore: ${described[kind]} of bucket ${JSON.stringify(bucket)}`;
  const status = statusOf(error);
  if (isTransient(error)) {
    const why = status === undefined ? "got no answer" : isThrottled(error) ? "was throttled" : `was answered ${status}`;
    return new EventDriverError("ERR_STORE_UNAVAILABLE", {
      message: `${of} ${why}; ${again(kind)}`,
      retryable: true,
      cause: error,
    });
  }
  if (status === undefined || status === 401) {
    return refused(`${of} was refused for its credentials; give the process a service account, or the Storage client valid ones`, error);
  }
  if (status === 403) {
    return refused(`${of} was forbidden; grant the process's account roles/storage.objectUser on the bucket`, error);
  }
  if (status === 404) {
    return refused(`${of} found no such bucket; create it, or correct the option bucket`, error);
  }
  return new EventDriverError("ERR_STORE_FAILED", {
    message: `${of} was answered ${status}, see the cause`,
    retryable: true,
    cause: error,
  });
}

/** The failure of an operation that took longer than it may. */
export function timedOut(bucket: string, kind: OperationKind, timeout: number): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `gcsEventStore: ${described[kind]} of bucket ${JSON.stringify(bucket)} was not done within ${timeout} ms; ${again(kind)}`,
    retryable: true,
  });
}

/** What to do after an unclear answer: only what changes something may have done it. */
function again(kind: OperationKind): string {
  return kind === "read" || kind === "list" ? "try again" : "try again, it may have been done all the same";
}

const described: Readonly<Record<OperationKind, string>> = {
  list: "a list",
  read: "a read",
  write: "a write",
  remove: "a removal",
};

function refused(message: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_FAILED", { message, retryable: false, cause });
}

/** Found before anything is sent: the client has nothing to identify itself with. */
function isMissingCredentials(error: unknown): boolean {
  return /could not load the default credentials|invalid_grant/i.test(messageOf(error));
}

function reasonsOf(error: unknown): string {
  const errors = partOf(error, "errors");
  return Array.isArray(errors) ? errors.map((each: unknown) => String(partOf(each, "reason"))).join(" ") : "";
}

function messageOf(error: unknown): string {
  return String(partOf(error, "message"));
}

function partOf(value: unknown, part: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
}
