import type { Clock, Context, EndReason, Logger, Message } from "event-driver";

import type { ContentMode } from "../http/http-decode.ts";
import type { KeyOptions } from "../event/key.ts";
import type { EventRequest, EventResponse } from "./request.ts";
import type { WireEvent } from "../event/wire-event.ts";

/** Whether a sender may send. Anything but `accepted: true` refuses it, also a value that is not of this type. */
export type Authentication =
  | {
      readonly accepted: true;
      /** The context its messages are processed in, for example `(ctx) => tenant.set(ctx, "acme")`. */
      readonly context?: (ctx: Context) => Context;
    }
  | {
      readonly accepted: false;
      /** 401 where nobody has said who it is, 403 where that is known and not enough. */
      readonly status: 401 | 403;
      /**
       * The `WWW-Authenticate` of a 401.
       * @default "Bearer"
       */
      readonly challenge?: string;
    };

/** How one event of a request ended. One of type `sweepOn` is a message too, whose key is its source where it has no other. */
export type EventOutcome =
  | { readonly status: "done"; readonly message: Message; readonly reply: Message | undefined; readonly ended: EndReason | undefined }
  | { readonly status: "failed"; readonly message: Message; readonly error: unknown }
  /** It never reached the pipeline. `id` is there where the event has one. */
  | { readonly status: "rejected"; readonly id: string | undefined; readonly error: unknown };

/** A request with the outcome of each of its events, in their order. */
export interface ReceivedEvents {
  readonly request: EventRequest;
  /** `undefined` where that could not be told. */
  readonly mode: ContentMode | undefined;
  /** As it was read and decompressed; `undefined` where it was refused before, or came too late. */
  readonly body: Uint8Array | undefined;
  readonly outcomes: readonly EventOutcome[];
}

/** Options of everything that receives events over HTTP. */
export interface EventHandlerOptions extends KeyOptions {
  /**
   * The only path at which events are taken, for example `"/events"`.
   * @default any
   */
  readonly path?: string | undefined;
  /**
   * Largest body, in bytes; also the most that a compressed one may become. More is answered with 413, and reading stops.
   * @default 1_048_576 (1 MiB)
   */
  readonly bodyBytes?: number | undefined;
  /**
   * Most events in one batch.
   * @default 1_000
   */
  readonly batchEvents?: number | undefined;
  /**
   * How many objects and arrays may stand inside one another in a structured event, itself included; from 1 to 999.
   * @default 128
   */
  readonly jsonDepth?: number | undefined;
  /**
   * Milliseconds within which a request must have arrived whole.
   * @default 30_000
   */
  readonly requestTime?: number | undefined;
  /**
   * Milliseconds from the arrival of a request within which its events must be done, the wait for a place included. Then the answer is 504.
   * The pipeline's own deadline counts too, where it is sooner; with `false` it alone does.
   * @default 30_000
   */
  readonly deadline?: number | false | undefined;
  /**
   * How many requests are processed at the same time.
   * @default 100
   */
  readonly concurrency?: number | undefined;
  /**
   * How many more may be read or wait for their turn. Beyond it the answer is 503. At most `concurrency + queue` bodies are held in memory.
   * @default 1_000
   */
  readonly queue?: number | undefined;
  /**
   * Codings of `Content-Encoding` that are understood. Any other is answered with 415.
   * @default none
   */
  readonly contentEncodings?: readonly ("gzip" | "deflate")[] | undefined;
  /**
   * Decides who may send, such as `oidc` of `@event-driver/cloudevents/oidc`. It runs before the body is read. What it throws is answered so
   * that the sender tries again.
   */
  readonly authenticate?: ((request: EventRequest) => Authentication | Promise<Authentication>) | undefined;
  /**
   * Reads the events of requests that carry no CloudEvents, such as a webhook's, in place of the content modes. Several are answered as a batch.
   *
   * Throw an `EventDriverError` with code `ERR_INVALID_EVENT` for a body that can never be read.
   * @default the binary, structured and batch content mode
   */
  readonly readEvents?: ((body: Uint8Array, request: EventRequest) => readonly WireEvent[]) | undefined;
  /**
   * Makes the message of an event.
   *
   * Throw an `EventDriverError` with code `ERR_INVALID_MESSAGE` for one that can never be taken.
   * @default fromWire with `keyFrom`
   */
  readonly toMessage?: ((event: WireEvent, request: EventRequest) => Message) | undefined;
  /**
   * Type of the events that sweep the pipeline instead of going through it, such as `"dev.knative.sources.ping"` of Knative's PingSource.
   * They need no key, and are authenticated as all are. One is done when everything is that was due and nobody else is at, and fails
   * retryably when something could not be done, or not by the deadline.
   *
   * For services that do not live long: scaled to zero, nothing else ends a window or finishes what has crashed.
   * @default none
   */
  readonly sweepOn?: string | undefined;
  /**
   * Answers a request in another way than the table in the README. `undefined` keeps to the table.
   *
   * Mind what a sender makes of a status: after 2xx it never sends the event again. What it throws or rejects with is answered
   * as if the event had failed so.
   */
  readonly toResult?: ((received: ReceivedEvents) => EventResponse | undefined | Promise<EventResponse | undefined>) | undefined;
  /**
   * Origins that the abuse-protection handshake grants, each a DNS name, or `"*"` for all.
   * @default none: OPTIONS is answered with 405
   */
  readonly allowedOrigins?: readonly string[] | undefined;
  /**
   * Requests a minute that the handshake grants, or `"*"` for any number.
   * @default "*"
   */
  readonly allowedRate?: number | "*" | undefined;
  /**
   * Where GET answers whether this service can do its work, and the check behind it: 503 when that rejects. Never authenticated.
   * @default { path: "/healthz" }
   */
  readonly health?: { readonly path?: string; readonly check?: () => Promise<unknown> } | false | undefined;
  /** @default silent */
  readonly logger?: Logger | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
}
