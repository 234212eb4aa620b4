import type { Message } from "event-driver";

import type { EventOutcome, ReceivedEvents } from "./receiver-options.ts";
import type { EventResponse } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { checkResponse } from "./check-response.ts";
import { encode } from "../http/http-encode.ts";
import { type EventProblem, problemResponse } from "./problem.ts";
import { type EventStatus, isRetriedStatus, statusOf } from "./status.ts";

/** The response to a request whose events have all been settled: the user's, or else by the table in the README. */
export function respond(received: ReceivedEvents, settings: EventHandlerSettings): EventResponse | Promise<EventResponse> {
  const statuses = received.outcomes.map(statusOf);
  received.outcomes.forEach((outcome, index) => logFailure(outcome, statuses[index]?.status ?? 500, settings));
  const own = settings.toResult?.(received);
  return own instanceof Promise ? own.then((given) => answer(given, received, statuses)) : answer(own, received, statuses);
}

function answer(own: EventResponse | undefined, received: ReceivedEvents, statuses: readonly EventStatus[]): EventResponse {
  if (own !== undefined) return checkResponse("toResult", own);
  return received.mode === "batch" ? ofBatch(received, statuses) : ofOne(received, statuses);
}

function ofOne({ mode, outcomes: [outcome] }: ReceivedEvents, [status]: readonly EventStatus[]): EventResponse {
  if (outcome === undefined || status === undefined) return { status: 204 };
  if (outcome.status !== "done") return problemResponse({ ...status, id: idOf(outcome) });
  if (outcome.reply === undefined) return { status: status.status };
  return { status: 200, ...encode(outcome.reply, { mode: mode === "structured" ? "structured" : "binary" }) };
}

/**
 * One answer for all. A sender knows only one status for the request, so a batch is acknowledged when every event of it was, and worth
 * retrying when one event of it is; those that were done are then skipped by their identity.
 */
function ofBatch({ outcomes }: ReceivedEvents, statuses: readonly EventStatus[]): EventResponse {
  const failures = outcomes.flatMap((outcome, index) => problemOf(outcome, statuses[index], index));
  if (failures.length === 0) return ofDoneBatch(outcomes, statuses);

  const retried = failures.filter((failure) => isRetriedStatus(failure.status));
  const common = new Set((retried.length > 0 ? retried : failures).map((failure) => failure.status));
  const [only] = common;
  const mixed = retried.length > 0 ? 500 : 422;
  const waits = statuses.flatMap(({ retryAfter }) => retryAfter ?? []);
  return problemResponse({
    status: common.size === 1 && only !== undefined ? only : mixed,
    detail: `${failures.length} of ${outcomes.length} events failed${retried.length > 0 ? "; send the batch again" : ""}.`,
    events: failures,
    ...(waits.length > 0 && { retryAfter: Math.max(...waits) }),
  });
}

function ofDoneBatch(outcomes: readonly EventOutcome[], statuses: readonly EventStatus[]): EventResponse {
  const replies = outcomes.flatMap((outcome) => (outcome.status === "done" && outcome.reply !== undefined ? [outcome.reply] : []));
  if (replies.length === 0) return { status: statuses.some(({ status }) => status === 202) ? 202 : 204 };
  const events = replies.map((reply: Message) => encode(reply, { mode: "structured" }).body);
  return { status: 200, headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${events.join(",")}]` };
}

function problemOf(outcome: EventOutcome, status: EventStatus | undefined, index: number): EventProblem[] {
  if (outcome.status === "done" || status === undefined) return [];
  return [{ index, id: idOf(outcome), status: status.status, code: status.code, detail: status.detail }];
}

function idOf(outcome: EventOutcome): string | undefined {
  return outcome.status === "rejected" ? outcome.id : outcome.message.id;
}

function logFailure(outcome: EventOutcome, status: number, { logger }: EventHandlerSettings): void {
  if (outcome.status === "done") return;
  const fields = { err: outcome.error, id: idOf(outcome), status };
  if (outcome.status === "rejected") logger.warn(fields, "an event was rejected");
  else if (status >= 500) logger.error(fields, "an event failed and is to be sent again");
  else logger.warn(fields, "an event failed");
}
