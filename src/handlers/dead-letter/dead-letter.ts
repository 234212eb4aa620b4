import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { AnyMessage, Handler } from "../../pipeline/handler.ts";
import type { KeyParking } from "../../pipeline/key-parking.ts";
import type { EventStore } from "../../stores/event-store.ts";

import { liveSignal } from "../../context.ts";
import { EventDriverError, invalidOption, isRetryable, quote } from "../../errors.ts";
import { failedStage } from "../../pipeline/compose.ts";
import { type DeadLetterInFront, deadLetterInFront } from "../../pipeline/dead-letter-in-front.ts";
import { describeFailure, entrySourceOf, type Failure, isStorable, packDeadLetter, unpackDeadLetter } from "./entry.ts";

export interface DeadLetterOptions {
  /** Where failed messages are put aside. It need not compare and set. */
  readonly store: EventStore;
  /**
   * The part of the store that is for them alone. Give each pipeline its own to tell them apart.
   * @default "dead-letters"
   */
  readonly scope?: string;
  /**
   * How long they are kept after their last failure, in milliseconds.
   * @default 1_209_600_000, 14 days
   */
  readonly retention?: number;
  /**
   * From which delivery on a retryable failure is put aside too, going by `ctx.attempt`.
   * @default none: what may succeed is given back to its sender as often as that delivers it
   */
  readonly maxAttempts?: number;
  /**
   * Which failures are put aside, whatever the attempt.
   * @default terminal ones, which no redelivery could mend
   */
  readonly when?: (error: unknown, ctx: Context) => boolean;
  /**
   * Whether the stack is kept too. It shows paths of your machine, and may hold more than you want stored.
   * @default false
   */
  readonly includeStack?: boolean;
  /**
   * Puts the later messages of a key aside too, behind the one that failed and without running them, until the key is redriven; other keys flow. Made by
   * `parkedKeys` of `event-driver/dead-letters`. It adds one look-up for each message.
   * @default none: what comes after a failed message runs
   */
  readonly parkKey?: KeyParking;
}

/**
 * Puts messages aside that fail for good, with what failed, and ends them successfully, so that their sender does not repeat them for ever.
 *
 * Put it in front of all stages that may fail, and of `retry` and `idempotency` too. Read, remove and replay what it keeps with {@link deadLetters}.
 *
 * Retryable failures are thrown on: their sender is to redeliver. That goes for `ERR_RETRIES_EXHAUSTED` of a `retry` behind it as well, for a fault
 * that outlasts a few seconds may be gone at the redelivery; set `maxAttempts` where the sender counts its deliveries, or `when`. What fails after
 * the signal has aborted is always thrown on, because the caller has been told so already.
 *
 * The message is kept as it arrived here, under its key and identity: when it fails again its entry is replaced, and the time of the first failure
 * stays. When the store fails the message fails too, retryably, with both errors: it is never lost in between.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_STORE_FAILED`, retryable, when it could not be put aside
 * @example pipeline().use(deadLetter({ store })).use(retry()).use(idempotency({ store })).use(charge)
 */
export function deadLetter(options: DeadLetterOptions): Handler {
  const { store, scope, retention, includeStack, maxAttempts, when } = withDefaults(options);
  const { parkKey } = options;
  const entries = store.scope(scope);

  const keep = async (ctx: Context, message: Message, failure: Failure, ticket: string | undefined): Promise<void> => {
    const now = ctx.clock.now();
    const signal = liveSignal(ctx);
    const stored = await entries.lookUp(message.key, entrySourceOf(message), { signal });
    const former = stored && unpackDeadLetter(stored);
    const entry = packDeadLetter(message, {
      failure,
      attempts: Math.max(ctx.attempt, (former?.attempts ?? 0) + 1),
      firstFailedAt: former?.firstFailedAt ?? now,
      lastFailedAt: now,
      ticket,
    });
    await entries.persist(entry, { expiresAt: now + retention, signal });
  };

  const putAside = async (
    ctx: Context,
    message: AnyMessage,
    error: unknown,
    afterwards: readonly Callback[] = [],
    ticket?: string,
  ): Promise<void> => {
    const failure = describeFailure(error, (await failedStage(ctx, error))?.name, includeStack);
    try {
      if (!isStorable(message)) throw notStorable(message);
      await keep(ctx, message, failure, ticket);
      for (const callback of afterwards) await callback();
    } catch (storeError) {
      throw notPutAside(message.id, error, storeError);
    }
    const { id, key, source } = message;
    ctx.logger.error({ id, key, source, code: failure.code, stage: failure.stage }, "a message failed and was put aside as a dead letter");
  };

  const isForHere = (ctx: Context, error: unknown): boolean =>
    !liveSignal(ctx)?.aborted && (when(error, ctx) || ctx.attempt >= maxAttempts);

  return {
    traits: { name: "dead letter", deadLetters: true, state: { store, scope } },
    async process(ctx, message, next) {
      const callbacks: Callback[] = [];
      const inFront: DeadLetterInFront = { putAside, afterwards: (callback) => void callbacks.push(callback) };
      const run = async (): Promise<"done" | { readonly error: unknown }> => {
        try {
          await next(deadLetterInFront.set(ctx, inFront), message);
          return "done";
        } catch (error) {
          if (!isForHere(ctx, error)) throw error;
          return { error };
        }
      };
      if (parkKey === undefined) {
        const outcome = await run();
        return outcome === "done" ? undefined : putAside(ctx, message, outcome.error, callbacks);
      }
      const outcome = await parkKey.visit({ ctx, message, run, putAside: (error, ticket) => putAside(ctx, message, error, [], ticket) });
      if (outcome === "duplicate") ctx.ended("duplicate");
      // Not any earlier: before it has its place in the queue of its key, it is not put aside.
      if (outcome === "put aside") for (const callback of callbacks) await callback();
    },
    sweepContext: (ctx) => deadLetterInFront.set(ctx, { putAside, afterwards() {} }),
  };
}

type Callback = () => Promise<void>;

function withDefaults(options: DeadLetterOptions): Required<Omit<DeadLetterOptions, "parkKey">> {
  const {
    store,
    scope = "dead-letters",
    retention = 14 * 86_400_000,
    maxAttempts = Infinity,
    when = isTerminal,
    includeStack = false,
    parkKey,
  } = options;
  if (typeof store?.persist !== "function") throw invalidOption("deadLetter", "store", store, "an EventStore");
  if (typeof scope !== "string") throw invalidOption("deadLetter", "scope", scope, "a string");
  if (!(retention > 0)) throw invalidOption("deadLetter", "retention", retention, "milliseconds above 0");
  if (maxAttempts !== Infinity && !(Number.isInteger(maxAttempts) && maxAttempts >= 1))
    throw invalidOption("deadLetter", "maxAttempts", maxAttempts, "a whole number from 1");
  if (parkKey !== undefined && typeof parkKey.visit !== "function")
    throw invalidOption("deadLetter", "parkKey", parkKey, "what parkedKeys() of event-driver/dead-letters returns");
  return { store, scope, retention, maxAttempts, when, includeStack };
}

function isTerminal(error: unknown): boolean {
  return !isRetryable(error);
}

function notStorable(message: AnyMessage): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `the content of message ${quote(message.id)} is neither text nor bytes, so it cannot be stored; put the dead letter in front of decode`,
    retryable: false,
  });
}

function notPutAside(id: string, error: unknown, storeError: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_FAILED", {
    message: `message ${quote(id)} failed and could not be put aside; deliver it again, and look at both errors of the cause`,
    retryable: true,
    cause: new AggregateError([error, storeError], "the failure of the message, and the failure of putting it aside"),
  });
}
