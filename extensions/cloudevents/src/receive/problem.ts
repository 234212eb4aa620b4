import type { EventResponse } from "./request.ts";

/** What a problem answer says. None of it may be content, an internal message or a stack. */
export interface Problem {
  readonly status: number;
  /** One sentence for whoever runs the sender. */
  readonly detail: string;
  /** An event-driver error code. */
  readonly code?: string | undefined;
  /** The id of the event in question. */
  readonly id?: string | undefined;
  /** Of a batch: the events that failed. */
  readonly events?: readonly EventProblem[];
  /** Milliseconds. */
  readonly retryAfter?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One failed event of a batch. */
export interface EventProblem {
  /** Its place in the batch, counted from 0. */
  readonly index: number;
  readonly id: string | undefined;
  readonly status: number;
  readonly code: string | undefined;
  readonly detail: string;
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Statuses that ask for another try say when; a second, where nothing is known. */
const asksToWait: ReadonlySet<number> = new Set([409, 429, 503]);

/** An answer as RFC 9457 describes it. `type` is `about:blank`: the status says what kind of problem it is, `code` the rest. */
export function problemResponse({ status, detail, code, id, events, retryAfter, headers }: Problem): EventResponse {
  const wait = retryAfter ?? (asksToWait.has(status) ? 1_000 : undefined);
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...(wait !== undefined && { "retry-after": String(Math.max(1, Math.ceil(wait / 1_000))) }),
      ...headers,
    },
    body: JSON.stringify({ type: "about:blank", title: titles[status], status, detail, code, id, events }),
  };
}
