import type { Message } from "../message.ts";

/** Opaque, and never used again, not even after a removal: equal revisions mean the same write. */
export type Revision = string;

export interface StoredMessage {
  readonly message: Message;
  readonly revision: Revision;
  /** When this revision was written, in epoch milliseconds on the store's own clock; absent where it has none. */
  readonly storedAt?: number;
  /** When this was read, on the same clock as `storedAt`. */
  readonly readAt?: number;
  readonly dueAt?: number;
  readonly expiresAt?: number;
}

/**
 * @internal The answer to a look-up that finds nothing, from a store that knows so at once. Whoever is given this very promise need not wait for it, which
 * takes as long as the look-up.
 */
export const nothing: Promise<undefined> = Promise.resolve(undefined);

/** One entry that has fallen due. */
export interface DueEntry {
  readonly key: string;
  readonly source: string;
  /** Epoch milliseconds, as given to `persist`. */
  readonly dueAt: number;
}

export interface StoreCallOptions {
  /** Aborting rejects the call with `signal.reason`; a write may have happened all the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface PersistOptions extends StoreCallOptions {
  /** Write only when nothing is stored, or only over exactly this revision; otherwise `ERR_REVISION_CONFLICT`. Without it the write always wins. */
  readonly expected?: "absent" | Revision;
  /** Epoch milliseconds from which `listDue` reports the entry. It removes nothing. */
  readonly dueAt?: number;
  /** Epoch milliseconds from which the store may remove the entry, some time. Until it does, the entry is there in every respect. */
  readonly expiresAt?: number;
}

export interface RemoveOptions extends StoreCallOptions {
  /** Remove only exactly this revision; `ERR_REVISION_CONFLICT` when another one is stored. */
  readonly expected?: Revision;
}

export interface ListDueOptions extends StoreCallOptions {
  /** Only entries with `dueAt <= before`, in epoch milliseconds. */
  readonly before: number;
  /** At most so many. */
  readonly limit: number;
  /** Only what comes after this entry, the last one of the page before. */
  readonly after?: DueEntry;
}

export interface ListKeysOptions extends StoreCallOptions {
  /** At most so many. */
  readonly limit: number;
  /** Only what comes after this key, the last one of the page before. */
  readonly after?: string;
}

/** What one adapter can do beyond the required members. The conformance kit tests what is declared and skips the rest by name. */
export interface EventStoreFeatures {
  /** Whether `expected` is decided atomically among all writers of all processes. */
  readonly compareAndSet: boolean;
  /** Whether `storedAt` and `readAt` are given, all from one clock. */
  readonly clock: boolean;
  /**
   * Whether a look-up costs little beside a write, as in memory or in a file. Then whoever expects duplicates looks first.
   * @default false
   */
  readonly cheapReads?: boolean;
}

/**
 * Remembers messages by key and source.
 *
 * - Any string is a key or a source, the empty one included; no key can reach another's entries.
 * - One entry a key and source: a later `persist` replaces it whole, `dueAt` and `expiresAt` too.
 * - A message comes back as it went in: every part, bytes as bytes and text as text.
 * - A read or list that begins after a `persist` or `remove` has resolved sees it, from any process.
 * - Concurrent `persist` calls with the same `expected` have one winner; the others reject with `ERR_REVISION_CONFLICT`.
 * - A revision is never used again, not even after the entry was removed and written anew.
 * - A rejection other than a conflict means unknown: the write may have happened, or may still happen.
 * - An entry past its `expiresAt` is there, and counts as present, until it is removed.
 * - `listDue` reports every entry with `dueAt <= before`, oldest first, each once over its pages; it never removes one.
 * - `scope(name)` is a store of its own over the same resources: no call on one sees or touches the other.
 * - `close` is idempotent, waits for what is in flight, and closes only what the adapter itself opened; calls after it reject with
 *   `ERR_STORE_CLOSED`, retryable: another process may still take the message. Closing a scope closes nothing: the store it came from owns the resources.
 */
export interface EventStore {
  readonly features: EventStoreFeatures;
  /** Stores the message under its key and source. Durable when it resolves, as far as the adapter promises durability. */
  persist(message: Message, options?: PersistOptions): Promise<Revision>;
  /** `undefined` when there is none; never an error for that. */
  lookUp(key: string, source: string, options?: StoreCallOptions): Promise<StoredMessage | undefined>;
  /** Everything stored under the key, in no promised order; empty when there is nothing. */
  lookUpByKey(key: string, options?: StoreCallOptions): Promise<readonly StoredMessage[]>;
  /** The sources stored under the key, in no promised order; empty when there are none. Cheaper than reading them. */
  listSourcesByKey(key: string, options?: StoreCallOptions): Promise<readonly string[]>;
  /** Removes one entry. Removing what is not there is no error, whatever was expected. */
  remove(key: string, source: string, options?: RemoveOptions): Promise<void>;
  /** A page of the entries that are due, in the order of `dueAt`. */
  listDue(options: ListDueOptions): Promise<readonly DueEntry[]>;
  /** A page of the keys that have entries, each once, in an order of the store's own that does not change. */
  listKeys(options: ListKeysOptions): Promise<readonly string[]>;
  /** A disjoint store over the same resources. Scopes nest; the same name gives the same entries. */
  scope(name: string): EventStore;
  close(): Promise<void>;
}
