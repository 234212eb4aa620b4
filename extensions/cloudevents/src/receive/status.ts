import { type EndReason, type ErrorCode, isEventDriverError, isRetryable } from "event-driver";

import type { EventOutcome } from "./receiver-options.ts";

/** What a sender is told of one event. */
export interface EventStatus {
  readonly status: number;
  readonly code?: ErrorCode;
  readonly detail: string;
  /** Milliseconds. */
  readonly retryAfter?: number | undefined;
}

/** Answers to what a sender got wrong, before the pipeline has seen anything. Their messages are written to be shown to it. */
const rejections: Partial<Record<ErrorCode, number>> = {
  ERR_INVALID_EVENT: 400,
  ERR_INVALID_MESSAGE: 400,
  ERR_NO_KEY: 400,
  ERR_TIMEOUT: 408,
  ERR_TOO_LARGE: 413,
  ERR_UNSUPPORTED: 415,
};

/** Retryable failures of the pipeline that have a status of their own; any other is 500. */
const retryableFailures: Partial<Record<ErrorCode, EventStatus>> = {
  ERR_IN_PROGRESS: { status: 409, detail: "The event is being processed elsewhere; send it again to learn how that ended." },
  ERR_RETRY_AFTER: { status: 429, detail: "The event cannot be processed now; send it again later." },
  ERR_KEYS_UNAVAILABLE: { status: 503, detail: "It cannot be checked now who the sender is; send the event again later." },
  ERR_OVERLOADED: { status: 503, detail: "The service has too much to do; send the event again later." },
  ERR_TIMEOUT: { status: 504, detail: "The event was not processed in time; send it again." },
};

const success: Partial<Record<EndReason, EventStatus>> = {
  waiting: { status: 202, detail: "The event is kept until the others it is joined with have come." },
};

/** Whether Knative, and most other senders, send an event again after this status. */
export function isRetriedStatus(status: number): boolean {
  return status >= 500 || status === 404 || status === 408 || status === 409 || status === 429;
}

/** The row of the README's table that an outcome falls into. */
export function statusOf(outcome: EventOutcome): EventStatus {
  switch (outcome.status) {
    case "done":
      if (outcome.reply !== undefined) return { status: 200, detail: "The event is done, here is the reply." };
      return (outcome.ended && success[outcome.ended]) ?? { status: 204, detail: "The event is done." };
    case "rejected":
      return statusOfRejection(outcome.error);
    case "failed":
      return statusOfFailure(outcome.error);
  }
}

function statusOfRejection(error: unknown): EventStatus {
  const status = isEventDriverError(error) ? rejections[error.code] : undefined;
  if (!isEventDriverError(error) || status === undefined) return statusOfFailure(error);
  return { status, code: error.code, detail: error.message };
}

/** What a sender is told of a failure that is not its own. */
export function statusOfFailure(error: unknown): EventStatus {
  const { code = "ERR_HANDLER_FAILED", retryAfter } = isEventDriverError(error) ? error : {};
  if (!isRetryable(error)) return { status: 422, code, detail: "The event can never be processed; do not send it again as it is." };
  const known = retryableFailures[code] ?? { status: 500, detail: "The event could not be processed; send it again." };
  return { ...known, code, retryAfter };
}
