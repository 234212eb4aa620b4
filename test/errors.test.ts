import { expect, test } from "vitest";

import {
  EventDriverError,
  invalidOption,
  isEventDriverError,
  isRetryable,
  isRevisionConflict,
  quote,
  RetryAfterError,
  RevisionConflictError,
  StageError,
  TerminalError,
  TimeoutError,
} from "../src/errors.ts";

const conflict = new RevisionConflictError({ key: "order-1", source: "event1", expected: "7" });

test("an error carries its code, whether to try again, when, and its cause", () => {
  const cause = new Error("connection reset");

  const error = new EventDriverError("ERR_STORE_UNAVAILABLE", { message: "no answer", retryable: true, retryAfter: 250, cause });

  expect(error).toMatchObject({
    name: "EventDriverError",
    code: "ERR_STORE_UNAVAILABLE",
    message: "no answer",
    retryable: true,
    retryAfter: 250,
    cause,
  });
  expect(error).toBeInstanceOf(Error);
});

test("an error without a cause has none, not even an undefined one", () => {
  expect("cause" in new TerminalError("no")).toBe(false);
});

test.for([
  [new TerminalError("no"), { name: "TerminalError", code: "ERR_TERMINAL", retryable: false }],
  [
    new RetryAfterError("later", { retryAfter: 500 }),
    { name: "RetryAfterError", code: "ERR_RETRY_AFTER", retryable: true, retryAfter: 500 },
  ],
  [new TimeoutError("too late"), { name: "TimeoutError", code: "ERR_TIMEOUT", retryable: true }],
  [
    conflict,
    { name: "RevisionConflictError", code: "ERR_REVISION_CONFLICT", retryable: true, key: "order-1", source: "event1", expected: "7" },
  ],
] as const)("%s", ([error, expected]) => {
  expect(error).toMatchObject(expected);
});

test("an error of another copy of the package is known by its mark", () => {
  const foreign = errorOfAnotherCopy({ code: "ERR_IN_PROGRESS", retryable: true });

  expect(foreign).not.toBeInstanceOf(EventDriverError);
  expect(isEventDriverError(foreign)).toBe(true);
  expect(isEventDriverError(conflict)).toBe(true);
});

test.for([new Error("plain"), { code: "ERR_TERMINAL", retryable: false }, "text", null, undefined, 12])(
  "%s is no error of ours",
  (value) => {
    expect(isEventDriverError(value)).toBe(false);
  },
);

test("the mark does not show when an error is listed or copied", () => {
  const copy = Object.assign({}, new TerminalError("no"));

  expect(Object.getOwnPropertySymbols(copy)).toEqual([]);
});

test("a revision conflict is known by its code, also of another copy", () => {
  expect(isRevisionConflict(conflict)).toBe(true);
  expect(isRevisionConflict(errorOfAnotherCopy({ code: "ERR_REVISION_CONFLICT", retryable: true }))).toBe(true);
  expect(isRevisionConflict(new TerminalError("no"))).toBe(false);
});

test("what is not ours is retryable, for we cannot know that it is final", () => {
  expect([new Error("plain"), "text", undefined, new TimeoutError("late")].map(isRetryable)).toEqual([true, true, true, true]);
  expect([new TerminalError("no"), errorOfAnotherCopy({ code: "ERR_TERMINAL", retryable: false })].map(isRetryable)).toEqual([
    false,
    false,
  ]);
});

test("a stage's error names the stage, its place and the message, and takes code and advice from its cause", () => {
  const cause = new RetryAfterError("rate limited", { retryAfter: 750 });

  const error = new StageError({ name: "charge", index: 2, id: "order-1", cause });

  expect(error).toMatchObject({
    name: "StageError",
    message: 'stage 2 (charge) failed on message "order-1": rate limited',
    code: "ERR_RETRY_AFTER",
    retryable: true,
    retryAfter: 750,
    stage: "charge",
    index: 2,
    cause,
  });
});

test("a stage's error takes code and advice from a cause of another copy too", () => {
  const error = new StageError({
    name: "charge",
    index: 0,
    id: "1",
    cause: errorOfAnotherCopy({ code: "ERR_TERMINAL", retryable: false }),
  });

  expect(error).toMatchObject({ code: "ERR_TERMINAL", retryable: false });
});

test.for([
  [new Error("plain"), "plain"],
  ["text", '"text"'],
  [undefined, "undefined"],
  [{ secret: 1 }, "an object"],
] as const)("a stage that threw %o failed retryably", ([cause, described]) => {
  const error = new StageError({ name: "charge", index: 0, id: "1", cause });

  expect(error).toMatchObject({
    code: "ERR_HANDLER_FAILED",
    retryable: true,
    message: `stage 0 (charge) failed on message "1": ${described}`,
  });
});

test.for([
  ["text", '"text"'],
  [12, "12"],
  [NaN, "NaN"],
  [undefined, "undefined"],
  [null, "null"],
  [[1], "an array"],
  [{ a: 1 }, "an object"],
  [() => 1, "a function"],
] as const)("a bad option's error shows %o by kind, and what is allowed", ([given, shown]) => {
  expect(invalidOption("retry", "maxAttempts", given, "a whole number from 1")).toMatchObject({
    code: "ERR_INVALID_OPTION",
    retryable: false,
    message: `retry: maxAttempts is ${shown}, allowed is a whole number from 1`,
  });
});

test("names in messages are quoted, escaped, and cut after 100 characters", () => {
  expect(quote('order "1"\n')).toBe('"order \\"1\\"\\n"');
  expect(quote("x".repeat(100))).toBe(`"${"x".repeat(100)}"`);
  expect(quote("x".repeat(101))).toBe(`"${"x".repeat(100)}..."`);
});

/** An error as another copy of the package makes it: of another class, with the same mark. */
function errorOfAnotherCopy(parts: { readonly code: string; readonly retryable: boolean }): Error {
  return Object.defineProperty(Object.assign(new Error("from afar"), parts), Symbol.for("event-driver.error"), { value: true });
}
