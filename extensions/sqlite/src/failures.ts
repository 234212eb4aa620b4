import { type ErrorCode, EventDriverError, isEventDriverError } from "event-driver";

/** SQLite's primary result codes that need an answer of their own: https://www.sqlite.org/rescode.html */
const busy = 5;
const corrupt = 11;
const full = 13;
const lockingProtocol = 15;
const tooBig = 18;
const constraint = 19;
const mismatch = 20;
const range = 25;
const notADatabase = 26;

/** Whether another connection holds the lock that was needed, so that trying again soon makes sense. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === busy || code === lockingProtocol;
}

/** Whether the file's pages contradict one another; a reader that takes no locks may see that for a moment while another process writes. */
export function isCorrupt(error: unknown): boolean {
  return resultCode(error) === corrupt;
}

export function isNotADatabase(error: unknown): boolean {
  return resultCode(error) === notADatabase;
}

/** Whether only the one operation was at fault, so that the others of its transaction may go on. An error that is not SQLite's came from its values. */
export function isOfOneOperation(error: unknown): boolean {
  const code = resultCode(error);
  return code === undefined || code === tooBig || code === constraint || code === mismatch || code === range;
}

/** The failure as a caller of the store sees it. Retryable wherever the message is not at fault: an event must not be given up because a disk is. */
export function storeFailure(file: string, error: unknown): EventDriverError {
  if (isEventDriverError(error)) return error;
  switch (resultCode(error)) {
    case busy:
    case lockingProtocol:
      return failure("ERR_STORE_UNAVAILABLE", file, "stayed locked by another process; try again", error);
    case full:
      return failure(
        "ERR_STORE_FULL",
        file,
        "cannot grow: the disk is full or a limit is reached; free some space, nothing was written",
        error,
      );
    case corrupt:
    case notADatabase:
      return failure("ERR_STORE_CORRUPT", file, "is damaged; stop all its users and restore it from a backup", error);
    case tooBig:
      return new EventDriverError("ERR_TOO_LARGE", {
        message: `sqliteEventStore: the message is larger than SQLite takes (1,000,000,000 bytes); keep its content elsewhere`,
        retryable: false,
        cause: error,
      });
    default:
      return failure(
        "ERR_STORE_FAILED",
        file,
        `could not be read or written: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
  }
}

/** The failure of a file that must not be used as it is. Nothing in it has been changed. */
export function refused(
  code: "ERR_STORE_CORRUPT" | "ERR_STORE_FAILED" | "ERR_STORE_VERSION",
  file: string,
  why: string,
  cause?: unknown,
): EventDriverError {
  return new EventDriverError(code, { message: `sqliteEventStore: ${JSON.stringify(file)} ${why}`, retryable: false, cause });
}

/** A failure of the file while the store is in use. */
export function failure(code: ErrorCode, file: string, what: string, cause?: unknown): EventDriverError {
  return new EventDriverError(code, { message: `sqliteEventStore: ${JSON.stringify(file)} ${what}`, retryable: true, cause });
}

/** SQLite's primary result code, the lower byte of the extended one; `undefined` where the error is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}
