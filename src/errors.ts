const mark: symbol = Symbol.for("event-driver.error");

/** Every code an error of this project can carry. docs/errors.md has a section for each. */
export type ErrorCode =
  | "ERR_CONNECTION_CLOSED"
  | "ERR_CONNECTION_FAILED"
  | "ERR_CRASHED"
  | "ERR_DECODE_FAILED"
  | "ERR_DELIVERY_LOST"
  | "ERR_DUPLICATE"
  | "ERR_ENCODE_FAILED"
  | "ERR_HANDLER_FAILED"
  | "ERR_IN_PROGRESS"
  | "ERR_INVALID_EVENT"
  | "ERR_INVALID_MESSAGE"
  | "ERR_INVALID_OPTION"
  | "ERR_KEY_PARKED"
  | "ERR_KEYS_UNAVAILABLE"
  | "ERR_LEASE_LOST"
  | "ERR_NO_KEY"
  | "ERR_OVERLOADED"
  | "ERR_PAYLOAD_MISMATCH"
  | "ERR_PUBLISH_FAILED"
  | "ERR_REPEATED_SOURCE"
  | "ERR_RETRIES_EXHAUSTED"
  | "ERR_RETRY_AFTER"
  | "ERR_REVISION_CONFLICT"
  | "ERR_ROW_REFUSED"
  | "ERR_SCHEMA_MISMATCH"
  | "ERR_SCOPE_TAKEN"
  | "ERR_SENDER_CLOSED"
  | "ERR_SINK_CLOSED"
  | "ERR_SINK_FAILED"
  | "ERR_STAGE_ORDER"
  | "ERR_STEP_CHANGED"
  | "ERR_STORE_CLOSED"
  | "ERR_STORE_CORRUPT"
  | "ERR_STORE_FAILED"
  | "ERR_STORE_FULL"
  | "ERR_STORE_UNAVAILABLE"
  | "ERR_STORE_VERSION"
  | "ERR_SUBSCRIPTION_BUSY"
  | "ERR_TERMINAL"
  | "ERR_TIMEOUT"
  | "ERR_TOO_LARGE"
  | "ERR_TOPOLOGY"
  | "ERR_UNSUPPORTED";

export interface ErrorDetails {
  /** What failed, on which id, and what to do about it; never content. */
  readonly message: string;
  readonly retryable: boolean;
  readonly cause?: unknown;
  /** Milliseconds after which trying again makes sense, where that is known. */
  readonly retryAfter?: number | undefined;
}

/**
 * The base of every error thrown by event-driver.
 *
 * Ask with {@link isEventDriverError}, never with `instanceof`: two copies of the package may be loaded.
 */
export class EventDriverError extends Error {
  declare readonly code: ErrorCode;
  /** Whether doing the same again later may succeed. */
  declare readonly retryable: boolean;
  /** Milliseconds after which trying again makes sense, where that is known. */
  declare readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, { message, retryable, cause, retryAfter }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retryAfter;
    Object.defineProperty(this, mark, { value: true });
  }
}

/** A conditional write or removal met another revision than it expected; the entry is as its last writer left it. */
export class RevisionConflictError extends EventDriverError {
  declare readonly key: string;
  declare readonly source: string;
  /** What the caller expected to find: `"absent"` or a revision. */
  declare readonly expected: string;

  constructor(entry: { readonly key: string; readonly source: string; readonly expected: string; readonly cause?: unknown }) {
    // A conflict is an ordinary answer: every duplicate is told by one, and the stack trace would cost more than the rest of it.
    const message = `the entry of key ${quote(entry.key)} and source ${quote(entry.source)} is not at ${entry.expected}; look it up and decide again`;
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super("ERR_REVISION_CONFLICT", {
      message,
      retryable: true,
      cause: entry.cause,
    });
    Error.stackTraceLimit = stackTraceLimit;
    this.key = entry.key;
    this.source = entry.source;
    this.expected = entry.expected;
  }
}

/** The failure of one stage, as a pipeline rejects with it: `code`, `retryable` and `retryAfter` are those of its `cause`. */
export class StageError extends EventDriverError {
  /** Name of the stage that failed. */
  declare readonly stage: string;
  /** Its place in the pipeline, counted from 0. */
  declare readonly index: number;

  constructor(stage: { readonly name: string; readonly index: number; readonly id: string; readonly cause: unknown }) {
    const inner = isEventDriverError(stage.cause) ? stage.cause : undefined;
    super(inner?.code ?? "ERR_HANDLER_FAILED", {
      message: `stage ${stage.index} (${stage.name}) failed on message ${quote(stage.id)}: ${describe(stage.cause)}`,
      retryable: isRetryable(stage.cause),
      retryAfter: inner?.retryAfter,
      cause: stage.cause,
    });
    this.stage = stage.name;
    this.index = stage.index;
  }
}

/** Throw it from a handler when this message can never succeed: it is neither retried nor redelivered. */
export class TerminalError extends EventDriverError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super("ERR_TERMINAL", { message, retryable: false, cause: options.cause });
  }
}

/** Throw it from a handler when the message should be tried again, and no sooner than `retryAfter` milliseconds from now. */
export class RetryAfterError extends EventDriverError {
  constructor(message: string, options: { readonly retryAfter: number; readonly cause?: unknown }) {
    super("ERR_RETRY_AFTER", { message, retryable: true, cause: options.cause, retryAfter: options.retryAfter });
  }
}

/** The time allowed for a message or a stage has passed. What was running may still finish; its claim stays until then. */
export class TimeoutError extends EventDriverError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super("ERR_TIMEOUT", { message, retryable: true, cause: options.cause });
  }
}

/** Whether a value is an error of this project, of whatever copy of the package. */
export function isEventDriverError(error: unknown): error is EventDriverError {
  return typeof error === "object" && error !== null && mark in error;
}

/** Whether a conditional write lost: the entry is at another revision than expected. */
export function isRevisionConflict(error: unknown): error is RevisionConflictError {
  return isEventDriverError(error) && error.code === "ERR_REVISION_CONFLICT";
}

/** An error that is not ours is retryable: we cannot know that it is final, and losing a message is worse than trying again. */
export function isRetryable(error: unknown): boolean {
  return !isEventDriverError(error) || error.retryable;
}

/** The error for a bad option: names the factory, the option, what was given and what is allowed. */
export function invalidOption(factory: string, option: string, given: unknown, allowed: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_OPTION", {
    message: `${factory}: ${option} is ${show(given)}, allowed is ${allowed}`,
    retryable: false,
  });
}

/** A key, source or id as an error message shows it: quoted, escaped, and cut after 100 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : show(cause);
}

function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}
