import type { EventHandlerOptions, EventOutcome, EventRequest, EventResponse, ReceivedEvents } from "@event-driver/cloudevents";

import { isRetryable, type Message } from "event-driver";

/** An event that can never succeed, and all there is of it. */
export interface TerminalFailure {
  /** What it failed with. Neither it nor its causes hold content of the event, unless a stage of yours puts some there. */
  readonly error: unknown;
  /** `undefined` where the request holds no event that could become a message; then `body` has it as it came. */
  readonly message: Message | undefined;
  /** The event's id, where it has one. */
  readonly id: string | undefined;
  readonly request: EventRequest;
  /** The body of the whole request: of a batch, with all its events. */
  readonly body: Uint8Array | undefined;
}

export interface TerminalOptions {
  /**
   * Keeps what can never succeed, such as a malformed event, or one that failed for good with no dead letter stage in front. When it has resolved
   * the event is acknowledged; when it rejects the event is not, and comes again. The same event may be handed over more than once.
   *
   * Without it such an event is answered with 4xx. Google takes that for "not yet", like all but 2xx, and delivers again until it gives up.
   * What is too large to be read, or compressed in an unknown way, is answered so in any case: there is nothing of it to keep.
   * @default none
   */
  readonly onTerminal?: ((failure: TerminalFailure) => unknown) | undefined;
}

type ToResult = NonNullable<EventHandlerOptions["toResult"]>;

/** The receiver's `toResult` that hands over what can never succeed before it is acknowledged, and then asks the user's own. */
export function handOverTerminal(onTerminal: NonNullable<TerminalOptions["onTerminal"]>, toResult: ToResult | undefined): ToResult {
  const handOver = async (received: ReceivedEvents, terminal: readonly Failed[]): Promise<EventResponse | undefined> => {
    const { request, body, outcomes } = received;
    for (const { outcome, message, id } of terminal) await onTerminal({ error: outcome.error, message, id, request, body });
    const own = await toResult?.(received);
    if (own !== undefined) return own;
    const handedOver: ReadonlySet<EventOutcome> = new Set(terminal.map(({ outcome }) => outcome));
    const settled = outcomes.every((outcome) => outcome.status === "done" || handedOver.has(outcome));
    return settled ? { status: 204 } : undefined;
  };

  return (received) => {
    const terminal = received.outcomes.flatMap((outcome) => terminalFailure(outcome, received.body));
    return terminal.length === 0 ? toResult?.(received) : handOver(received, terminal);
  };
}

interface Failed {
  readonly outcome: Exclude<EventOutcome, { readonly status: "done" }>;
  readonly message: Message | undefined;
  readonly id: string | undefined;
}

function terminalFailure(outcome: EventOutcome, body: Uint8Array | undefined): Failed[] {
  if (outcome.status === "done" || isRetryable(outcome.error)) return [];
  if (outcome.status === "failed") return [{ outcome, message: outcome.message, id: outcome.message.id }];
  return body === undefined ? [] : [{ outcome, message: undefined, id: outcome.id }];
}
