import type { Logger } from "../context.ts";
import type { Message } from "../message.ts";
import type { EventStore, PersistOptions } from "./event-store.ts";

import { type Clock, systemClock } from "../clock.ts";
import { EventDriverError, invalidOption, isEventDriverError, isRetryable, isRevisionConflict } from "../errors.ts";
import { CopyQueue, type CopyState, type CopyWrite, type DroppedWrite } from "./copy-queue.ts";

export interface ReplicatedOptions {
  /**
   * How many writes may wait for one copy. A further one is dropped, aloud.
   * @default 10_000
   */
  readonly queue?: number;
  /**
   * How many writes, of different keys, one copy is given at the same time.
   * @default 4
   */
  readonly concurrency?: number;
  /**
   * Upper bound of the first pause before a failed write is tried again, in milliseconds; it doubles with every further one.
   * @default 100
   */
  readonly baseDelay?: number;
  /**
   * Upper bound of any such pause, in milliseconds.
   * @default 30_000
   */
  readonly maxDelay?: number;
  /**
   * Milliseconds for which `close` waits for the copies. What they have not taken by then is dropped, aloud.
   * @default 10_000
   */
  readonly drainTimeout?: number;
  /**
   * Told of every write that a copy will never see.
   * @default only the log is told
   */
  readonly onDrop?: (write: DroppedWrite) => void;
  /**
   * Told of writes that failed, once for each, and of every drop.
   * @default silent
   */
  readonly logger?: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
}

/** A store that says how far its copies are behind. */
export interface ReplicatedEventStore extends EventStore {
  /** One for each copy, in the order they were given; always of this moment. */
  readonly copies: readonly CopyState[];
}

/**
 * The primary store, with each write repeated on the copies afterwards. Options, where there are any, come last.
 *
 * Use it for an audit copy, or to fill a new store before you move to it. Reads, revisions and errors are the primary's, and nothing waits for a copy.
 * A copy is given the writes of one key in the order in which this process was told that they were done; those of several processes meet there in any
 * order, so a copy is no stand-in for the primary. Where the outcome of a write is unclear, the copy is given what the primary then holds. What is queued
 * is in memory: a crash loses it. The signal of a call does not reach the copies.
 *
 * `close` waits for calls in flight and for the copies, and closes neither the primary nor the copies, for it has opened none of them.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const store = replicated(sqliteEventStore({ file: "orders.db" }), bigQueryEventStore({ dataset: "audit", table: "events" }), { queue: 1_000 });
 * const dropped = store.copies.map((copy) => copy.dropped);
 */
export function replicated(primary: EventStore, ...copies: readonly EventStore[]): ReplicatedEventStore;
export function replicated(primary: EventStore, ...copiesAndOptions: readonly [...EventStore[], ReplicatedOptions]): ReplicatedEventStore;
export function replicated(primary: EventStore, ...given: readonly (EventStore | ReplicatedOptions)[]): ReplicatedEventStore {
  const copies = given.filter((each) => isStore(each));
  const options = given.find((each): each is ReplicatedOptions => !isStore(each));
  if (!isStore(primary)) throw invalidOption("replicated", "primary", primary, "an EventStore");
  if (copies.length === 0) throw invalidOption("replicated", "copies", "none", "at least one EventStore");
  if (given.length > copies.length + 1) throw invalidOption("replicated", "copies", "something else", "EventStores, and options last");
  const settings = withDefaults(options);
  const queues = copies.map((_, copy) => new CopyQueue({ ...settings, copy, limit: settings.queue }));
  const replication = new Replication(queues, settings.drainTimeout);

  return { ...replica(replication, [], primary, copies), copies: queues, close: () => replication.close() };
}

function replica(replication: Replication, path: readonly string[], primary: EventStore, copies: readonly EventStore[]): EventStore {
  const write = <Result>(made: Made, call: () => Promise<Result>, repeat: Repeat): Promise<Result> =>
    replication.call(async () => {
      // As JSON, no two keys of whatever scopes are the same text.
      const lane = JSON.stringify([...path, made.key]);
      const [outcome] = await Promise.allSettled([call()]);
      if (outcome.status === "fulfilled") {
        replication.repeat({ ...made, lane }, copies, repeat);
        return outcome.value;
      }
      if (isUnclear(outcome.reason)) replication.repeat({ ...made, lane }, copies, asFound(primary, made));
      throw outcome.reason;
    });

  return {
    features: primary.features,
    persist: (message, options = {}) => {
      const { key, source } = message;
      const kept = detached(message);
      return write(
        { operation: "persist", key, source },
        () => primary.persist(message, options),
        (copy, signal) => copy.persist(kept, { ...timesOf(options), signal }),
      );
    },
    remove: (key, source, options) =>
      write(
        { operation: "remove", key, source },
        () => primary.remove(key, source, options),
        (copy, signal) => copy.remove(key, source, { signal }),
      ),
    lookUp: (key, source, options) => replication.call(() => primary.lookUp(key, source, options)),
    lookUpByKey: (key, options) => replication.call(() => primary.lookUpByKey(key, options)),
    listSourcesByKey: (key, options) => replication.call(() => primary.listSourcesByKey(key, options)),
    listDue: (options) => replication.call(() => primary.listDue(options)),
    listKeys: (options) => replication.call(() => primary.listKeys(options)),
    scope: (name) =>
      replica(
        replication,
        [...path, name],
        primary.scope(name),
        copies.map((copy) => copy.scope(name)),
      ),
    close: async () => {},
  };
}

type Made = Pick<CopyWrite, "operation" | "key" | "source">;
type Repeat = (copy: EventStore, signal: AbortSignal) => Promise<unknown>;

/** What all scopes of one replicated store share: the queues, and the calls that `close` waits for. */
class Replication {
  readonly #queues: readonly CopyQueue[];
  readonly #drainTimeout: number;
  readonly #inFlight = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(queues: readonly CopyQueue[], drainTimeout: number) {
    this.#queues = queues;
    this.#drainTimeout = drainTimeout;
  }

  call<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    const call = run();
    const settled: Promise<void> = call.then(
      () => void this.#inFlight.delete(settled),
      () => void this.#inFlight.delete(settled),
    );
    this.#inFlight.add(settled);
    return call;
  }

  /** Queues a write for every copy; `copies` are those of the scope it was made in. */
  repeat(write: Omit<CopyWrite, "perform">, copies: readonly EventStore[], repeat: Repeat): void {
    for (const [index, copy] of copies.entries()) {
      this.#queues[index]?.add({ ...write, perform: async (signal) => repeat(copy, signal) });
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#inFlight);
    await Promise.all(this.#queues.map((queue) => queue.drain(this.#drainTimeout)));
  }
}

/** Gives a copy what the primary holds by now, whether the write has happened or not. */
function asFound(primary: EventStore, { key, source }: Made): Repeat {
  return async (copy, signal) => {
    const found = await primary.lookUp(key, source, { signal });
    return found === undefined ? copy.remove(key, source, { signal }) : copy.persist(found.message, { ...timesOf(found), signal });
  };
}

/** Whether a write that was rejected may have happened all the same. A closed store has refused it, and will not answer later either. */
function isUnclear(error: unknown): boolean {
  return isRetryable(error) && !isRevisionConflict(error) && !(isEventDriverError(error) && error.code === "ERR_STORE_CLOSED");
}

/** A copy, so that what the caller does to its own changes nothing that is still to be written. */
function detached(message: Message): Message {
  const { content } = message;
  return { ...message, content: typeof content === "string" ? content : new Uint8Array(content) };
}

function timesOf({ dueAt, expiresAt }: Pick<PersistOptions, "dueAt" | "expiresAt">): PersistOptions {
  return { ...(dueAt !== undefined && { dueAt }), ...(expiresAt !== undefined && { expiresAt }) };
}

type Settings = Required<Omit<ReplicatedOptions, "logger">> & { readonly logger: Logger | undefined };

function isStore(value: EventStore | ReplicatedOptions): value is EventStore {
  return typeof value === "object" && value !== null && "persist" in value;
}

function withDefaults(options: ReplicatedOptions = {}): Settings {
  const { queue = 10_000, concurrency = 4, baseDelay = 100, maxDelay = 30_000, drainTimeout = 10_000 } = options;
  const { onDrop = () => {}, logger, clock = systemClock, random = Math.random } = options;
  if (!(Number.isInteger(queue) && queue >= 1)) throw invalidOption("replicated", "queue", queue, "a whole number from 1");
  if (!(Number.isInteger(concurrency) && concurrency >= 1)) {
    throw invalidOption("replicated", "concurrency", concurrency, "a whole number from 1");
  }
  if (!(baseDelay >= 0 && baseDelay < Infinity)) throw invalidOption("replicated", "baseDelay", baseDelay, "milliseconds from 0");
  if (!(maxDelay >= baseDelay && maxDelay < Infinity)) {
    throw invalidOption("replicated", "maxDelay", maxDelay, `milliseconds from baseDelay (${baseDelay})`);
  }
  if (!(drainTimeout >= 0 && drainTimeout < Infinity))
    throw invalidOption("replicated", "drainTimeout", drainTimeout, "milliseconds from 0");
  return { queue, concurrency, baseDelay, maxDelay, drainTimeout, onDrop, logger, clock, random };
}

function closed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: "this replicated store was closed; close it after its last use",
    retryable: true,
  });
}
