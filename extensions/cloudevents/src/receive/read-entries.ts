import { isEventDriverError, type Message } from "event-driver";

import type { EventOutcome } from "./receiver-options.ts";
import type { IncomingEventRequest } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { codingOf, decompress } from "./decompress.ts";
import { type ContentMode, type DecodedEvent, readEvents, readHead } from "../http/http-decode.ts";
import { bodyTooLarge } from "./request.ts";

/** One event of a request, on its way to the pipeline or rejected. */
export type Entry = { readonly message: Message } | Extract<EventOutcome, { readonly status: "rejected" }>;

/** The events of a request. `mode` is `undefined` where the request as a whole was rejected. */
export interface Entries {
  readonly mode: ContentMode | undefined;
  readonly entries: readonly Entry[];
}

/** Reads a request as far as it can be: the head first, and the body only when the head is right. Never rejects. */
export async function readEntries(request: IncomingEventRequest, settings: EventHandlerSettings): Promise<Entries> {
  const { bodyBytes, requestTime, clock } = settings;
  try {
    const head = readHead(request.headers);
    const coding = codingOf(request.headers.get("content-encoding"), settings.contentEncodings);
    if (Number(request.headers.get("content-length")) > bodyBytes) throw bodyTooLarge(bodyBytes);
    const body = await request.readBody({ bytes: bodyBytes, time: requestTime, clock });
    const events = readEvents(head, coding === undefined ? body : await decompress(body, coding, bodyBytes), settings);
    return { mode: head.mode, entries: events.map((event) => entryOf(event, request, settings)) };
  } catch (error) {
    return { mode: undefined, entries: [{ status: "rejected", id: undefined, error }] };
  }
}

function entryOf(event: DecodedEvent, request: IncomingEventRequest, { toMessage }: EventHandlerSettings): Entry {
  if (isEventDriverError(event)) return { status: "rejected", id: undefined, error: event };
  try {
    return { message: toMessage(event, request) };
  } catch (error) {
    return { status: "rejected", id: event.attributes["id"], error };
  }
}
