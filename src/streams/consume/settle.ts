import { isEventDriverError, isRetryable } from "../../errors.ts";

/** How an attempt ended. */
export type Outcome = { readonly status: "done" } | { readonly status: "failed"; readonly error: unknown };

/** How most attempts end. */
export const done: Outcome = { status: "done" };

/** What becomes of a message after an attempt. */
export type Decision = { readonly kind: "acknowledge" } | { readonly kind: "put aside"; readonly error: unknown } | Again;

/** It is tried again: it waits in memory, with its followers behind it, or at the broker. */
export interface Again {
  readonly kind: "hold" | "release";
  /** Milliseconds. */
  readonly delay: number;
  readonly error: unknown;
  /** Whether it has failed for good, and is tried on only because it has no other place to go. */
  readonly isSpent: boolean;
}

export interface SettleRules {
  /** Milliseconds before the next attempt; `undefined` when there were enough. */
  readonly delayAfter: (attempt: number, error: unknown) => number | undefined;
  /** Milliseconds to wait with what has failed for good and has no place to go. */
  readonly lastDelay: number;
  readonly hasDeadLetter: boolean;
  /** Whether a failed message waits in memory, and not at the broker. */
  readonly holds: boolean;
}

/**
 * What becomes of a message: done is acknowledged; what may succeed later waits; what may not, or has had its attempts, is put aside where there is a
 * place for it, and waits for ever where there is none.
 */
export function decide(outcome: Outcome, attempt: number, rules: SettleRules): Decision {
  if (outcome.status === "done") return acknowledge;
  const { error } = outcome;
  const delay = isRetryable(error) ? rules.delayAfter(attempt, error) : undefined;
  if (delay === undefined && rules.hasDeadLetter) return { kind: "put aside", error };
  return again(error, delay, rules);
}

/** One for all: hardly any message is decided on otherwise. */
const acknowledge: Decision = { kind: "acknowledge" };

/** The message could not be put aside, so it stays where it is. */
export function decideAgain(error: unknown, rules: SettleRules): Again {
  return again(error, undefined, rules);
}

function again(error: unknown, delay: number | undefined, { holds, lastDelay }: SettleRules): Again {
  return {
    kind: holds ? "hold" : "release",
    delay: Math.max(delay ?? lastDelay, askedFor(error)),
    error,
    isSpent: delay === undefined,
  };
}

function askedFor(error: unknown): number {
  return isEventDriverError(error) ? (error.retryAfter ?? 0) : 0;
}
