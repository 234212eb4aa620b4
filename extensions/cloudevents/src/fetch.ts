export { fetchHandler, type FetchHandlerOptions } from "./fetch-handler.ts";
export type { ContentMode, HeaderFields } from "./http-decode.ts";
export type { KeyOptions } from "./key.ts";
export type { Authentication, EventHandlerOptions, EventOutcome, ReceivedEvents } from "./receiver-options.ts";
export type { EventRequest, EventResponse } from "./request.ts";
export type { WireEvent } from "./wire-event.ts";
