import type { EventRequest, EventResponse } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { problemResponse } from "./problem.ts";

export const allowedMethods = "POST, OPTIONS";

/**
 * Answers OPTIONS as section 4 of "HTTP 1.1 Web Hooks for Event Delivery" has it: a sender may deliver here only when its origin is granted.
 *
 * A callback URL that the request may name is never called, for that would let anyone make this service send requests.
 */
export function answerHandshake(request: EventRequest, { allowedOrigins, allowedRate }: EventHandlerSettings): EventResponse {
  if (allowedOrigins === undefined) return methodNotAllowed("POST");
  const origin = request.headers.get("webhook-request-origin")?.toLowerCase();
  if (origin === undefined) return { status: 204, headers: { allow: allowedMethods } };

  const granted = allowedOrigins.find((allowed) => allowed === "*" || allowed.toLowerCase() === origin);
  if (granted === undefined)
    return problemResponse({ status: 403, detail: "Events from this origin are not taken.", headers: { allow: allowedMethods } });
  return {
    status: 204,
    headers: { allow: allowedMethods, "webhook-allowed-origin": granted, "webhook-allowed-rate": String(allowedRate) },
  };
}

export function methodNotAllowed(allow: string): EventResponse {
  return problemResponse({ status: 405, detail: "Events are sent with POST.", headers: { allow } });
}
