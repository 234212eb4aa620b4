import type { Context } from "event-driver";

import type { Authentication, EventHandlerOptions } from "./receiver-options.ts";
import type { EventRequest, EventResponse } from "./request.ts";

import { checkResponse } from "./check-response.ts";
import { problemResponse } from "./problem.ts";

/** What `authenticate` came to: the response that refuses the request, or what its context becomes. */
export type Admission = { readonly refusal: EventResponse } | { readonly refusal?: undefined; readonly context: (ctx: Context) => Context };

const everybody: Admission = { context: (ctx) => ctx };

/** Asks `authenticate`, where there is one. Nothing but `accepted: true` lets a request in. */
export function admit(request: EventRequest, authenticate: EventHandlerOptions["authenticate"]): Admission | Promise<Admission> {
  return authenticate === undefined ? everybody : ask(request, authenticate);
}

async function ask(request: EventRequest, authenticate: NonNullable<EventHandlerOptions["authenticate"]>): Promise<Admission> {
  const answer: Authentication | undefined = await authenticate(request);
  if (answer?.accepted === true) return answer.context === undefined ? everybody : { context: answer.context };
  if (answer?.status === 403) return { refusal: problemResponse({ status: 403, detail: "The sender may not send events here." }) };
  const headers = { "www-authenticate": answer?.challenge ?? "Bearer" };
  return { refusal: checkResponse("authenticate", problemResponse({ status: 401, detail: "The sender must say who it is.", headers })) };
}
