import type { ClaimRules, FoundClaim, PackedMessage } from "../../claims/claim-record.ts";
import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { AnyMessage, Handler, Next, PassThrough, Traits } from "../../pipeline/handler.ts";
import type { EventStore } from "../../stores/event-store.ts";

import { findClaim, isTakeable, startClaim } from "../../claims/claim.ts";
import { type ClaimOptions, claimScope, requireMilliseconds, resolveClaimOptions } from "../../claims/claim-options.ts";
import { ownerNames, packMessage, unpackMessage } from "../../claims/claim-record.ts";
import { failAsCrashed, hasCrashed, isReopened, repeatFailure } from "../../claims/failure.ts";
import { adoptedClaim, type ClaimContext, replayContext, runGuarded } from "../../claims/guard.ts";
import { inProgress, type Patience, patience } from "../../claims/wait.ts";
import { digest } from "../../digest.ts";
import { EventDriverError, quote } from "../../errors.ts";
import { identityOf } from "../../message.ts";
import { Races } from "../../pipeline/race.ts";
import { nothing } from "../../stores/event-store.ts";
import { type ConflictRule, type ReplayRule, skipOnConflict } from "./conflict.ts";

export interface IdempotencyOptions<Rule = ConflictRule> extends ClaimOptions {
  /** Where the claims are kept. It must be able to compare and set. */
  readonly store: EventStore;
  /**
   * The part of the store that is this handler's alone.
   * @default "idempotency"
   */
  readonly scope?: string;
  /**
   * Messages with the same key are the same. {@link byMessageKey} takes the message's own key.
   * @default identityOf
   */
  readonly key?: (message: AnyMessage) => string;
  /**
   * What becomes of a duplicate of a completed message.
   * @default skipOnConflict
   */
  readonly onConflict?: Rule;
  /**
   * Milliseconds for which a completed or failed message is remembered. Longer than any sender goes on repeating.
   * @default 86_400_000 (24 hours)
   */
  readonly retention?: number;
  /**
   * What must be the same in two messages with the same key, else the second fails with `ERR_PAYLOAD_MISMATCH`. Only a digest of it is stored.
   * @default not compared
   */
  readonly fingerprint?: (message: AnyMessage) => string;
}

/** The same key for all messages of one `key`, as the Go original has it: of several events of an order, one is processed. */
export function byMessageKey(message: AnyMessage): string {
  return message.key;
}

/**
 * Lets each message through once: a duplicate is neither lost nor run twice.
 *
 * Put it in front of what must not happen twice. Behind a `joiner` on the same store it adopts the joiner's claim and costs nothing. A duplicate of
 * a message that is being processed waits and then fails retryably, because acknowledging it would lose the event if the first delivery then fails;
 * a duplicate of a failed one is told the same failure until a dead letter has taken it.
 *
 * What it cannot do: make an effect outside the store happen exactly once when the process dies between that effect and the record of it. Then the
 * message is run again, with the same id and a higher `ctx.fence`; give the other side one of them.
 *
 * @throws EventDriverError when created: `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED`, `ERR_SCOPE_TAKEN`; for a message: `ERR_IN_PROGRESS`, `ERR_LEASE_LOST`
 * (retryable), `ERR_DUPLICATE`, `ERR_PAYLOAD_MISMATCH`, `ERR_CRASHED` (terminal)
 * @example pipeline().use(idempotency({ store })).use(async (ctx, order) => { await charge(order, { signal: ctx.signal }); })
 */
export function idempotency(options: IdempotencyOptions): PassThrough<ClaimContext>;
export function idempotency(options: IdempotencyOptions<ReplayRule>): Handler<Message, Message, ClaimContext>;
export function idempotency(
  options: IdempotencyOptions | IdempotencyOptions<ReplayRule>,
): PassThrough<ClaimContext> | Handler<Message, Message, ClaimContext> {
  const { store, onConflict = skipOnConflict } = options;
  const { traits, admit } = gate(options);
  if (typeof onConflict === "function") {
    const told = {
      onDone: async ({ record }: FoundClaim, ctx: Context, message: AnyMessage) =>
        onConflict(ctx, message, { reply: record.reply && unpackMessage(record.reply) }),
    };
    const skipping: PassThrough<ClaimContext> = { traits, process: (ctx, message, next) => admit(ctx, message, next, told) };
    return skipping;
  }
  const replayed: Duplicates<Message> = {
    original: packMessage,
    onDone({ record }, ctx, message, next) {
      const original = record.original === undefined ? message : unpackMessage(record.original);
      return onConflict.replay(replayContext(ctx, record, message.id, store), original, next);
    },
  };
  const replaying: Handler<Message, Message, ClaimContext> = {
    traits,
    process: (ctx, message, next) => admit(ctx, message, next, replayed),
  };
  return replaying;
}

/** What becomes of the duplicates of a completed message. */
interface Duplicates<M extends AnyMessage> {
  /** What is kept with the claim, to be passed on to them. */
  readonly original?: (message: M) => PackedMessage;
  readonly onDone: (found: FoundClaim, ctx: Context, message: M, next: Next<Context & ClaimContext, M>) => Promise<void>;
}

interface Gate {
  readonly traits: Traits;
  readonly admit: <M extends AnyMessage>(
    ctx: Context,
    message: M,
    next: Next<Context & ClaimContext, M>,
    duplicates: Duplicates<M>,
  ) => Promise<void>;
}

function gate(options: Omit<IdempotencyOptions<unknown>, "onConflict">): Gate {
  const { store, scope = "idempotency", key: keyOf = identityOf, retention = 86_400_000, fingerprint: fingerprintOf } = options;
  const { lease, maxAttempts, wait, skewAllowance } = resolveClaimOptions("idempotency", options);
  requireMilliseconds("idempotency", "retention", retention);
  const rules: ClaimRules = {
    store: claimScope("idempotency", "store", store, scope),
    source: "~claim",
    lease,
    skewAllowance,
    nameOwner: ownerNames(),
    renewals: new Races(),
    // One that is under way goes too, long after its lease: its senders may have given up, and nobody else would ever remove it.
    writing: ({ phase, writtenAt }, expected, signal) => ({
      expected,
      signal,
      expiresAt: writtenAt + retention + (phase === "done" || phase === "failed" ? 0 : lease),
    }),
  };

  const admit: Gate["admit"] = async (ctx, message, next, { original, onDone }) => {
    const adopted = keyOf === identityOf ? adoptedClaim(ctx, store, message) : undefined;
    if (adopted !== undefined) return next(adopted, message);

    const key = keyOf(message);
    const fingerprint = fingerprintOf && (await digest(fingerprintOf(message)));
    const kept = { ...(fingerprint && { fingerprint }), ...(original && { original: original(message) }) };
    let waiting: Patience | undefined;
    const looked = store.features.cheapReads ? findClaim(rules, ctx, key) : nothing;
    let found = looked === nothing ? undefined : await looked;
    for (;;) {
      if (found !== undefined && isMismatch(found, fingerprint)) throw payloadMismatch(message.id, key);
      if (found === undefined || isTakeable(found) || isReopened(found, ctx)) {
        if (found !== undefined && hasCrashed(found, ctx, maxAttempts)) {
          found = await failAsCrashed(rules, ctx, key, found, message.id);
          continue;
        }
        const trigger = keyOf === identityOf ? key : identityOf(message);
        const attempt = await startClaim(rules, ctx, key, found, { phase: "running", trigger, kept });
        if (attempt.claim) return await runGuarded(attempt.claim, store, ctx, message, next);
        found = attempt.found;
      } else if (found.record.phase === "done") {
        return onDone(found, ctx, message, next);
      } else if (found.record.phase === "failed") {
        return repeatFailure(rules, ctx, key, found, message.id);
      } else {
        waiting ??= patience(ctx, wait);
        if (!(await waiting.pause())) throw inProgress(message.id, lease);
        found = await findClaim(rules, ctx, key);
      }
    }
  };
  return { traits: { name: "idempotency", guards: true, state: { store, scope } }, admit };
}

/** Only where there are two to compare: the option may be new, or gone, since the message was first seen. */
function isMismatch({ record }: FoundClaim, fingerprint: string | undefined): boolean {
  return record.fingerprint !== undefined && fingerprint !== undefined && record.fingerprint !== fingerprint;
}

function payloadMismatch(id: string, key: string): EventDriverError {
  return new EventDriverError("ERR_PAYLOAD_MISMATCH", {
    message: `message ${quote(id)} has the key ${quote(key)} of another message but not its fingerprint; give it its own`,
    retryable: false,
  });
}
