import { type Clock, isEventDriverError } from "event-driver";

import type { EncodedEvent } from "../http/http-encode.ts";
import type { SenderSettings } from "./sender-settings.ts";
import type { WireEvent } from "../event/wire-event.ts";

import { type HeaderFields, readEvents, readHead } from "../http/http-decode.ts";
import { readResponseBody } from "./response-body.ts";
import { retryAfterOf } from "./retry-after.ts";

/** What came of sending an event once. */
export type Exchange = Accepted | Failure;

export interface Accepted {
  readonly accepted: true;
  readonly reply: WireEvent | undefined;
}

export interface Failure {
  readonly accepted: false;
  /** What the sink did, as the end of a sentence that begins with it. */
  readonly problem: string;
  /** Whether it may pass by itself within seconds. */
  readonly passing: boolean;
  /** Milliseconds. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** What Knative sends again beside 500 and above. */
const passingStatuses: ReadonlySet<number> = new Set([404, 408, 409, 429]);

const replyLimits = { depth: 128, batchEvents: 1 };

/**
 * Sends an event once.
 *
 * @returns what came of it; rejects only with `signal.reason`
 */
export async function exchange(
  event: EncodedEvent,
  settings: SenderSettings,
  given: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<Exchange> {
  const { clock, signal } = given;
  const giveUp = new AbortController();
  const onAbort = (): void => giveUp.abort(signal?.reason);
  const cancelTimer = clock.after(settings.timeout, () => giveUp.abort());
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    return await request(event, settings, clock, giveUp.signal);
  } catch (cause) {
    signal?.throwIfAborted();
    const problem = giveUp.signal.aborted
      ? `did not answer within ${settings.timeout} ms`
      : "could not be reached, or broke off its answer";
    return { accepted: false, problem, passing: true, cause };
  } finally {
    cancelTimer();
    signal?.removeEventListener("abort", onAbort);
  }
}

async function request({ headers, body }: EncodedEvent, settings: SenderSettings, clock: Clock, signal: AbortSignal): Promise<Exchange> {
  const response = await settings.fetch(settings.url.href, {
    method: "POST",
    // As bytes, because fetch states a Content-Type of its own for text.
    ...(body !== undefined && { body: typeof body === "string" ? new TextEncoder().encode(body) : body }),
    headers: { ...settings.headers, ...headers },
    redirect: "manual",
    signal,
  });
  if (response.ok && isEvent(response.headers)) return replied(response, settings.replyBytes);
  await drain(response, settings.replyBytes);
  if (response.ok) return { accepted: true, reply: undefined };

  const { status } = response;
  return {
    accepted: false,
    problem: status === 0 || (status >= 300 && status < 400) ? "answered with a redirect, which is not followed" : `answered ${status}`,
    passing: status >= 500 || passingStatuses.has(status),
    retryAfter: retryAfterOf(response.headers.get("retry-after"), clock.now()),
  };
}

/** HTTP binding, section 3: a response carries an event as a request does. */
function isEvent(headers: Headers): boolean {
  return headers.has("ce-specversion") || /^\s*application\/cloudevents/i.test(headers.get("content-type") ?? "");
}

/** An event that cannot be read is a failure, although its request was accepted: to go on without it would lose it. */
async function replied(response: Response, limit: number): Promise<Exchange> {
  const body = await readResponseBody(response, limit);
  if (body === undefined) return { accepted: false, problem: `replied with more than ${limit} bytes`, passing: false };
  try {
    const [reply] = readEvents(readHead(fieldsOf(response.headers)), body, replyLimits);
    if (isEventDriverError(reply)) throw reply;
    return { accepted: true, reply };
  } catch (cause) {
    if (!isEventDriverError(cause)) throw cause;
    return { accepted: false, problem: "replied with something that cannot be read as one CloudEvent", passing: false, cause };
  }
}

function fieldsOf(headers: Headers): HeaderFields {
  return { get: (name) => headers.get(name) ?? undefined, forEach: (visit) => headers.forEach((value, name) => visit(value, name)) };
}

/** Reads what nobody needs, for the connection's sake. The status has said everything, so a body that breaks off or never ends changes nothing. */
async function drain(response: Response, limit: number): Promise<void> {
  await readResponseBody(response, limit).catch(() => undefined);
}
