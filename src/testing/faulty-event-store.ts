import type { EventStore } from "../stores/event-store.ts";

import { type Clock, sleep, systemClock } from "../clock.ts";
import { EventDriverError, quote } from "../errors.ts";

/** One call of a store, as the one who decides about its fault sees it. */
export interface StoreCall {
  readonly operation: "persist" | "lookUp" | "lookUpByKey" | "listSourcesByKey" | "remove" | "listDue" | "listKeys";
  /** The names of the scopes it goes to, outermost first; empty for the store itself. */
  readonly scope: readonly string[];
  /** `undefined` where the operation has none. */
  readonly key: string | undefined;
  /** `undefined` where the operation has none. */
  readonly source: string | undefined;
  /** 1 for the first call through this wrapper, whatever its scope, and so on. */
  readonly call: number;
}

/**
 * What goes wrong with one call, before or after the store has done it.
 *
 * - `fail`: it rejects. After: what the store has answered is lost, a write is done.
 * - `delay`: it takes so many milliseconds longer.
 * - `hang`: it settles only when its signal aborts.
 * - `crash`: the process that makes it dies, see {@link FaultyEventStore.crash}.
 * - `late-write`: it rejects at once, and the store does it only so many milliseconds later.
 */
export type Fault =
  | { readonly kind: "fail"; readonly when: "before" | "after"; readonly error?: unknown }
  | { readonly kind: "delay"; readonly when: "before" | "after"; readonly milliseconds: number }
  | { readonly kind: "hang"; readonly when: "before" | "after" }
  | { readonly kind: "crash"; readonly when: "before" | "after" }
  | { readonly kind: "late-write"; readonly milliseconds: number; readonly error?: unknown };

export interface FaultyEventStoreOptions {
  /** Asked before each call for what shall go wrong with it; `undefined` lets it be. */
  readonly decide: (call: StoreCall) => Fault | undefined;
  /**
   * What delays are measured on.
   * @default systemClock
   */
  readonly clock?: Clock | undefined;
  /** Told once, when the process has died. */
  readonly onCrash?: (() => void) | undefined;
}

/** A store as one process sees it, for as long as that lives. */
export interface FaultyEventStore extends EventStore {
  readonly crashed: boolean;
  /** Lets the process die: from now on no call settles, and none reaches the store but writes that are already on their way. */
  crash(): void;
}

/**
 * Wraps a store so that its calls fail, hang, come late or take their process with them, as `decide` says.
 *
 * Use it to find out what your handlers do when the store, or the process, gives out at the worst moment. Give each process that is simulated
 * a wrapper of its own around the one store they share. `close` is passed on as it is.
 *
 * @example
 * const store = faultyEventStore(memoryEventStore(), {
 *   decide: ({ operation, call }) => (operation === "persist" && call < 3 ? { kind: "fail", when: "after" } : undefined),
 * });
 */
export function faultyEventStore(inner: EventStore, { decide, clock = systemClock, onCrash }: FaultyEventStoreOptions): FaultyEventStore {
  let calls = 0;
  let crashed = false;

  const crash = (): void => {
    if (crashed) return;
    crashed = true;
    onCrash?.();
  };
  const run: Run = async (call, signal, perform) => {
    if (crashed) return never();
    calls += 1;
    const fault = decide({ ...call, call: calls });
    const [outcome] = await Promise.allSettled([withFault(fault, { call, signal, perform, clock, crash, hasCrashed: () => crashed })]);
    if (crashed) return never();
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  };

  return {
    ...wrapStore(inner, [], run),
    get crashed() {
      return crashed;
    },
    crash,
  };
}

type NamedCall = Omit<StoreCall, "call">;

type Run = <Result>(
  call: NamedCall,
  signal: AbortSignal | undefined,
  perform: (signal: AbortSignal | undefined) => Promise<Result>,
) => Promise<Result>;

interface Attempt<Result> {
  readonly call: NamedCall;
  readonly signal: AbortSignal | undefined;
  readonly perform: (signal: AbortSignal | undefined) => Promise<Result>;
  readonly clock: Clock;
  readonly crash: () => void;
  readonly hasCrashed: () => boolean;
}

function wrapStore(inner: EventStore, scope: readonly string[], run: Run): EventStore {
  const ofEntry = (operation: StoreCall["operation"], key: string, source: string): NamedCall => ({ operation, scope, key, source });
  const ofKey = (operation: StoreCall["operation"], key: string): NamedCall => ({ operation, scope, key, source: undefined });
  const ofAll = (operation: StoreCall["operation"]): NamedCall => ({ operation, scope, key: undefined, source: undefined });

  return {
    features: inner.features,
    persist: (message, options) =>
      run(ofEntry("persist", message.key, message.source), options?.signal, (signal) => inner.persist(message, { ...options, signal })),
    lookUp: (key, source, options) =>
      run(ofEntry("lookUp", key, source), options?.signal, (signal) => inner.lookUp(key, source, { signal })),
    lookUpByKey: (key, options) => run(ofKey("lookUpByKey", key), options?.signal, (signal) => inner.lookUpByKey(key, { signal })),
    listSourcesByKey: (key, options) =>
      run(ofKey("listSourcesByKey", key), options?.signal, (signal) => inner.listSourcesByKey(key, { signal })),
    remove: (key, source, options) =>
      run(ofEntry("remove", key, source), options?.signal, (signal) => inner.remove(key, source, { ...options, signal })),
    listDue: (options) => run(ofAll("listDue"), options.signal, (signal) => inner.listDue({ ...options, signal })),
    listKeys: (options) => run(ofAll("listKeys"), options.signal, (signal) => inner.listKeys({ ...options, signal })),
    scope: (name) => wrapStore(inner.scope(name), [...scope, name], run),
    close: () => inner.close(),
  };
}

async function withFault<Result>(fault: Fault | undefined, attempt: Attempt<Result>): Promise<Result> {
  const { signal, perform, clock } = attempt;
  if (fault === undefined) return perform(signal);
  if (fault.kind === "late-write") {
    // Nobody is left to hear how the late one ends: its caller has been told already that it failed.
    clock.after(fault.milliseconds, () => void Promise.allSettled([perform(undefined)]));
    throw failure(fault.error, attempt);
  }
  if (fault.when === "before") {
    await strike(fault, attempt);
    return attempt.hasCrashed() ? never() : perform(signal);
  }
  const [outcome] = await Promise.allSettled([perform(signal)]);
  await strike(fault, attempt);
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** Goes on only when the fault was no more than a delay. */
async function strike(fault: Exclude<Fault, { readonly kind: "late-write" }>, attempt: Attempt<unknown>): Promise<void> {
  if (fault.kind === "delay") return sleep(attempt.clock, fault.milliseconds, attempt.signal);
  if (fault.kind === "hang") return untilAborted(attempt.signal);
  if (fault.kind === "fail") throw failure(fault.error, attempt);
  attempt.crash();
  return never();
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** An aborted call rejects with its signal's reason, whatever else goes wrong with it. */
function failure(error: unknown, { call, signal }: Attempt<unknown>): unknown {
  return signal?.aborted ? signal.reason : (error ?? unavailable(call));
}

function unavailable({ operation, key }: NamedCall): EventDriverError {
  const where = key === undefined ? "" : ` of key ${quote(key)}`;
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `${operation}${where} met an injected fault; whether it was done is unknown`,
    retryable: true,
  });
}
