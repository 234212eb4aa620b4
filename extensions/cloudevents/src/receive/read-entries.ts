import { isEventDriverError, type Message } from "event-driver";

import type { EventOutcome } from "./receiver-options.ts";
import type { IncomingEventRequest } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { codingOf, decompress } from "./decompress.ts";
import { type ContentMode, type DecodedEvent, readEvents, readHead } from "../http/http-decode.ts";
import { fromWire } from "../event/wire-event.ts";
import { bodyTooLarge } from "./request.ts";

export interface AcceptedEntry {
  readonly message: Message;
  /** Whether it asks for a sweep instead of being processed. */
  readonly sweeps: boolean;
}

/** One event of a request, on its way to the pipeline or rejected. */
export type Entry = AcceptedEntry | Extract<EventOutcome, { readonly status: "rejected" }>;

/** The events of a request. `mode` is `undefined` where the request as a whole was rejected. */
export interface Entries {
  readonly mode: ContentMode | undefined;
  /** Out of its `Content-Encoding`. */
  readonly body: Uint8Array | undefined;
  readonly entries: readonly Entry[];
}

/** Reads a request as far as it can be: the head first, and the body only when the head is right. Never rejects. */
export async function readEntries(request: IncomingEventRequest, settings: EventHandlerSettings): Promise<Entries> {
  let body: Uint8Array | undefined;
  try {
    const head = settings.readEvents === undefined ? readHead(request.headers) : undefined;
    body = await readBody(request, settings);
    const events = head === undefined ? (settings.readEvents?.(body, request) ?? []) : readEvents(head, body, settings);
    const mode = head?.mode ?? (events.length === 1 ? "binary" : "batch");
    return { mode, body, entries: events.map((event) => entryOf(event, request, settings)) };
  } catch (error) {
    return { mode: undefined, body, entries: [{ status: "rejected", id: undefined, error }] };
  }
}

/** @throws EventDriverError `ERR_UNSUPPORTED`, `ERR_TOO_LARGE`, `ERR_TIMEOUT`, `ERR_INVALID_EVENT` */
function readBody(request: IncomingEventRequest, settings: EventHandlerSettings): Uint8Array | Promise<Uint8Array> {
  const { bodyBytes, requestTime, clock, contentEncodings } = settings;
  const coding = codingOf(request.headers.get("content-encoding"), contentEncodings);
  if (Number(request.headers.get("content-length")) > bodyBytes) throw bodyTooLarge(bodyBytes);
  const body = request.readBody({ bytes: bodyBytes, time: requestTime, clock });
  if (coding === undefined || request.decompressed) return body;
  return Promise.resolve(body).then((compressed) => decompress(compressed, coding, bodyBytes));
}

function entryOf(event: DecodedEvent, request: IncomingEventRequest, { toMessage, sweepOn }: EventHandlerSettings): Entry {
  if (isEventDriverError(event)) return { status: "rejected", id: undefined, error: event };
  try {
    // Before anyone looks for a key: what only says that time has passed has none.
    if (sweepOn !== undefined && event.attributes["type"] === sweepOn)
      return { message: fromWire(event, { fallbackKey: event.attributes["source"] }), sweeps: true };
    return { message: toMessage(event, request), sweeps: false };
  } catch (error) {
    return { status: "rejected", id: event.attributes["id"], error };
  }
}
