import { type Clock, EventDriverError } from "event-driver";

import type { HeaderFields } from "../http/http-decode.ts";

/** What `authenticate`, `toMessage` and `toResult` see of a request. */
export interface EventRequest {
  readonly method: string;
  /** Without the query. Where a framework has mounted the receiver, what is left behind the mount point. */
  readonly path: string;
  /** What follows the question mark, or the empty string. */
  readonly query: string;
  readonly headers: HeaderFields;
}

/** A request whose body can still be read, once. */
export interface IncomingEventRequest extends EventRequest {
  /**
   * The whole body, as it came or, where `decompressed`, as it was before; at once where it is there. Stops reading at the limits.
   *
   * @throws EventDriverError `ERR_TOO_LARGE`; `ERR_TIMEOUT` where it does not arrive whole
   */
  readBody(limits: BodyLimits): Uint8Array | Promise<Uint8Array>;
  /** Whether somebody has read the body before, and has taken it out of its `Content-Encoding`. */
  readonly decompressed?: boolean;
}

export interface BodyLimits {
  readonly bytes: number;
  /** Milliseconds within which the whole of it must arrive. */
  readonly time: number;
  readonly clock: Clock;
}

/** What a request is answered with. */
export interface EventResponse {
  readonly status: number;
  /** Names in lower case. The server adds `content-length` and `date`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
}

export function bodyTooLarge(limit: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", { message: `the body is larger than ${limit} bytes`, retryable: false });
}

export function bodyIncomplete(cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_TIMEOUT", { message: "the body did not arrive whole and in time", retryable: true, cause });
}

/** Not the sender's fault, and right as soon as the service is: so it is none of the errors that end an event. */
export function bodyTaken(): Error {
  return new Error("the body has been read already; mount the receiver in front of whatever reads bodies");
}
