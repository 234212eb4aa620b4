export { fetchHandler, type FetchHandlerOptions } from "../receive/fetch-handler.ts";
export type { ContentMode, HeaderFields } from "../http/http-decode.ts";
export type { KeyOptions } from "../event/key.ts";
export { type KnativeFailure, knativeFailure } from "../event/knative-failure.ts";
export type { Authentication, EventHandlerOptions, EventOutcome, ReceivedEvents } from "../receive/receiver-options.ts";
export type { EventRequest, EventResponse } from "../receive/request.ts";
export type { WireEvent } from "../event/wire-event.ts";
