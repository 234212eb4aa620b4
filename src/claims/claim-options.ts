import type { EventStore } from "../stores/event-store.ts";

import { EventDriverError, invalidOption } from "../errors.ts";
import { reserveScope } from "../stores/scopes.ts";

/** The options that everything which claims has in common. */
export interface ClaimOptions {
  /**
   * Milliseconds for which a claim holds without being renewed; it is renewed at a third of that. How long a crash of its owner delays the
   * message; keep it, and the time your handlers take, below the time after which senders give up.
   * @default 10_000
   */
  readonly lease?: number;
  /**
   * How often the work may be begun without coming to an orderly end before the message counts as one that crashes its process, and fails for good.
   * @default unlimited; 10 where a dead letter stage stands in front
   */
  readonly maxAttempts?: number;
  /**
   * Milliseconds for which a duplicate waits for the delivery that is being processed, before it fails with `ERR_IN_PROGRESS`. A nearer
   * deadline of the context counts.
   * @default 5_000
   */
  readonly wait?: number;
  /**
   * Milliseconds by which the clocks of two machines may differ. Counts only for stores without a clock of their own.
   * @default 1_000
   */
  readonly skewAllowance?: number;
}

export type ResolvedClaimOptions = Required<Omit<ClaimOptions, "maxAttempts">> & { readonly maxAttempts: number | undefined };

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function resolveClaimOptions(factory: string, options: ClaimOptions): ResolvedClaimOptions {
  const { lease = 10_000, maxAttempts, wait = 5_000, skewAllowance = 1_000 } = options;
  if (!(lease > 0 && lease < Infinity)) throw invalidOption(factory, "lease", lease, "milliseconds above 0");
  if (maxAttempts !== undefined && !(Number.isInteger(maxAttempts) && maxAttempts >= 1)) {
    throw invalidOption(factory, "maxAttempts", maxAttempts, "a whole number from 1");
  }
  if (!(wait >= 0)) throw invalidOption(factory, "wait", wait, "milliseconds from 0");
  requireMilliseconds(factory, "skewAllowance", skewAllowance);
  return { lease, wait, skewAllowance, maxAttempts };
}

/** Finite milliseconds from 0, as most options are: not every store can keep a time that never comes. */
export function requireMilliseconds(factory: string, option: string, given: number): number {
  if (!(given >= 0 && given < Infinity)) throw invalidOption(factory, option, given, "milliseconds from 0");
  return given;
}

/**
 * The part of the store that one handler keeps its claims in; `option` is where a user gives another one.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED` when the store cannot compare and set; `ERR_SCOPE_TAKEN` when another handler works there
 */
export function claimScope(factory: string, option: "store" | "claims", store: EventStore, scope: string): EventStore {
  if (typeof store?.scope !== "function") throw invalidOption(factory, option, store, "an EventStore");
  if (!store.features.compareAndSet) {
    throw new EventDriverError("ERR_UNSUPPORTED", {
      message: `${factory}: the store cannot compare and set, which claims need; give one that can, as in ${factory}({ ${option}: sqliteEventStore({ file }) })`,
      retryable: false,
    });
  }
  return reserveScope(factory, store, scope);
}
