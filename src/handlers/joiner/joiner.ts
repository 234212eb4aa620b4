import type { ClaimContext } from "../../claims/guard.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Handler } from "../../pipeline/handler.ts";
import type { EventStore } from "../../stores/event-store.ts";
import type { Condition } from "./condition.ts";
import type { RepeatPolicy } from "./members.ts";

import { type ClaimOptions, claimScope, requireMilliseconds, resolveClaimOptions } from "../../claims/claim-options.ts";
import { type ClaimRecord, ownerNames } from "../../claims/claim-record.ts";
import { invalidOption } from "../../errors.ts";
import { Races } from "../../pipeline/race.ts";
import { reserveScope } from "../../stores/scopes.ts";
import { emitEach } from "./emit-each.ts";
import { outcomeEntry } from "./entries.ts";
import { type JoinNext, type JoinSettings, type JoinTimeout } from "./join.ts";
import { joinMessage } from "./join-message.ts";
import { type JoinFailure, sweepJoins } from "./sweep.ts";

export interface JoinWindow {
  /** Milliseconds from the first message of a key after which its join is over. */
  readonly size: number;
  /**
   * Milliseconds longer in which messages that were on their way may still complete it.
   * @default 0
   */
  readonly grace?: number;
}

interface CommonOptions {
  /** Where messages are kept until they are joined. */
  readonly store: EventStore;
  /** When the messages of a key are joined; decided on their sources alone. */
  readonly condition: Condition;
  /**
   * The part of the store that is this handler's alone.
   * @default "joiner"
   */
  readonly scope?: string;
  /**
   * Which event counts when a source comes again with another one. The same event again changes nothing.
   * @default "last"
   */
  readonly repeated?: RepeatPolicy;
  /**
   * Milliseconds for which the state of an ended join is kept. Until then, whatever still comes for its key belongs to it; afterwards the key is
   * free for a new one. Longer than any sender goes on repeating.
   * @default 86_400_000 (24 hours)
   */
  readonly retention?: number;
}

export interface JoinerOptions extends CommonOptions, ClaimOptions {
  /** One emission for each key, also when the last two sources arrive at the same instant at two machines. */
  readonly emit?: "once";
  /**
   * Where outcomes and windows are kept, if not in `store`. It must be able to compare and set.
   * @default store
   */
  readonly claims?: EventStore;
  /**
   * Ends joins by the clock. The end is stored with the first message and needs no further one: a sweep finds it, after a restart too.
   * @default none: a join waits for ever
   */
  readonly window?: JoinWindow;
  /**
   * Receives a join that its window has ended. It may pass `timeout.message`, or one of its own, on to the stages behind. It is run under the
   * claim, so when it fails it is run again.
   * @default logs a warning
   */
  readonly onTimeout?: (ctx: Context & ClaimContext, timeout: JoinTimeout, next: JoinNext) => Promise<void>;
  /**
   * Receives a message that came after its join had ended and would have changed it. The message is removed when it returns.
   * @default logs a warning
   */
  readonly onLate?: (ctx: Context, message: Message) => Promise<void> | void;
  /**
   * Receives an emission that failed for good in a sweep, where no dead letter stage stands in front.
   * @default the sweep reports it, again and again
   */
  readonly onFailure?: (ctx: Context, failure: JoinFailure) => Promise<void> | void;
  /**
   * How many due entries one sweep takes on.
   * @default 100
   */
  readonly sweepLimit?: number;
}

/** Options of a joiner that emits on every message; see {@link joiner}. */
export interface EachJoinerOptions extends CommonOptions {
  /** Emits again on every message that comes while the condition holds, as the Go original does. Claims nothing, so any store will do. */
  readonly emit: "each";
}

/**
 * Keeps the messages of a key until the condition holds for their sources, and then passes on one message composed of all of them.
 *
 * No event is special: any may come first, last, again or never. The message it emits has `source` and `type` `"composed-event"`, the key, the
 * latest event time, an `id` that is the same in every emission of the same join, and as content a JSON object with a member for each source,
 * sorted. A source's content that is a JSON object goes in as it was written; anything else as a string.
 *
 * Use it where several events make one piece of work. What it emits failing is a failure of the delivery that emitted it; when that delivery dies,
 * a redelivery or a sweep emits the same again. Run a sweep: without one, a join whose last sender gives up waits for the next redelivery.
 *
 * @throws EventDriverError when created: `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED`, `ERR_SCOPE_TAKEN`; for a message: `ERR_IN_PROGRESS`, `ERR_LEASE_LOST`
 * (retryable), `ERR_REPEATED_SOURCE`, `ERR_CRASHED` (terminal)
 * @example pipeline().use(joiner({ store, condition: matchAll("event1", "event2", "event3") }))
 */
export function joiner(options: EachJoinerOptions): Handler<Message, Message>;
export function joiner(options: JoinerOptions): Handler<Message, Message, ClaimContext>;
export function joiner(options: JoinerOptions | EachJoinerOptions): Handler<Message, Message> | Handler<Message, Message, ClaimContext> {
  return options.emit === "each" ? eachJoiner(options) : onceJoiner(options);
}

function eachJoiner(options: EachJoinerOptions): Handler<Message, Message> {
  const { store, scope, repeated, retention, condition } = resolveCommon(options);
  const entries = reserveScope("joiner", store, scope);
  return {
    traits: { name: "joiner", state: { store, scope } },
    process: (ctx, message, next) => emitEach({ entries, scope, condition, repeated, retention }, ctx, message, next),
  };
}

function onceJoiner(options: JoinerOptions): Handler<Message, Message, ClaimContext> {
  const { store, scope, repeated, retention, condition } = resolveCommon(options);
  const { lease, maxAttempts, wait, skewAllowance } = resolveClaimOptions("joiner", options);
  const { claims = store, emit = "once", onLate = warnOfLate, onTimeout = warnOfTimeout, onFailure, sweepLimit = 100 } = options;
  if (emit !== "once") throw invalidOption("joiner", "emit", emit, '"once" or "each"');
  if (!(Number.isInteger(sweepLimit) && sweepLimit >= 1)) throw invalidOption("joiner", "sweepLimit", sweepLimit, "a whole number from 1");
  const length = windowLength(options.window);
  const claimed = claimScope("joiner", "claims", claims, scope);
  const settings: JoinSettings = {
    entries: claims === store ? claimed : reserveScope("joiner", store, scope),
    claimStore: claims,
    scope,
    condition,
    repeated,
    retention,
    maxAttempts,
    onTimeout,
    windowLength: length,
    rules: {
      store: claimed,
      source: outcomeEntry,
      lease,
      skewAllowance,
      nameOwner: ownerNames(),
      renewals: new Races(),
      writing: (record, expected, signal) => ({ expected, signal, dueAt: record.writtenAt + (isOver(record) ? retention : lease) }),
    },
  };
  let sweptAt = -Infinity;
  const isSwept = (ctx: Context): boolean => ctx.clock.now() - sweptAt < sweptLately;
  return {
    traits: { name: "joiner", state: { store, scope } },
    process: (ctx, message, next) => joinMessage(settings, { wait, onLate, isSwept }, ctx, message, next),
    sweep: (ctx, next) => {
      sweptAt = ctx.clock.now();
      return sweepJoins(settings, { limit: sweepLimit, onFailure }, ctx, next);
    },
  };
}

// Longer than any sensible pause between two sweeps: whoever swept within it will sweep again.
const sweptLately = 60_000;

/** Whether only its retention is waited for. One that decides nothing, or is being cleared, is looked at again. */
function isOver({ phase, data, reported, clearing }: ClaimRecord): boolean {
  return !clearing && (phase === "done" || (phase === "failed" && reported === true) || (phase === "released" && data === undefined));
}

function resolveCommon(options: CommonOptions): Required<CommonOptions> {
  const { store, condition, scope = "joiner", repeated = "last", retention = 86_400_000 } = options;
  if (typeof store?.scope !== "function") throw invalidOption("joiner", "store", store, "an EventStore");
  if (typeof condition?.holds !== "function")
    throw invalidOption("joiner", "condition", condition, "one made by matchAll, matchAny or matchNone");
  if (!["last", "first", "reject"].includes(repeated)) throw invalidOption("joiner", "repeated", repeated, '"last", "first" or "reject"');
  requireMilliseconds("joiner", "retention", retention);
  return { store, condition, scope, repeated, retention };
}

function windowLength(window: JoinWindow | undefined): number | undefined {
  if (window === undefined) return undefined;
  const { size, grace = 0 } = window;
  if (!(size > 0 && size < Infinity)) throw invalidOption("joiner", "window.size", size, "milliseconds above 0");
  return size + requireMilliseconds("joiner", "window.grace", grace);
}

function warnOfLate(ctx: Context, { id, key, source }: Message): void {
  ctx.logger.warn({ id, key, source }, "a message came after its join had ended");
}

async function warnOfTimeout(ctx: Context, { key, present, missing }: JoinTimeout): Promise<void> {
  ctx.logger.warn({ key, present, missing }, "a join was ended by its window");
}
