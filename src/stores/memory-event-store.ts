import type { Message } from "../message.ts";
import type {
  DueEntry,
  EventStore,
  EventStoreFeatures,
  ListDueOptions,
  ListKeysOptions,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoreCallOptions,
  StoredMessage,
} from "./event-store.ts";

import { type Clock, systemClock } from "../clock.ts";
import { EventDriverError, RevisionConflictError } from "../errors.ts";
import { Heap, type HeapItem } from "../heap.ts";

export interface MemoryEventStoreOptions {
  /**
   * What `storedAt` and `readAt` are read on, and `expiresAt` is compared with.
   * @default systemClock
   */
  readonly clock?: Clock | undefined;
}

/**
 * Keeps messages in the memory of this process, and loses them with it.
 *
 * Use it in tests, and where losing what is underway at a restart is acceptable. What has expired is removed bit by bit by later writes.
 *
 * @example const orders = pipeline().use(idempotency({ store: memoryEventStore() })).use(charge);
 */
export function memoryEventStore({ clock = systemClock }: MemoryEventStoreOptions = {}): EventStore {
  return new MemoryEventStore({ clock, expiring: new Heap(expiresBefore), writes: 0, closed: false }, "root");
}

/** What a store and all of its scopes have in common. */
interface Shared {
  readonly clock: Clock;
  readonly expiring: Heap<Expiry>;
  /** Counts the writes of all scopes: each one's number is its revision. */
  writes: number;
  closed: boolean;
}

interface Entry {
  message: Message;
  revision: Revision;
  storedAt: number;
  due: Due | undefined;
  expiry: Expiry | undefined;
}

interface Due extends DueEntry, HeapItem {
  dueAt: number;
}

interface Expiry extends HeapItem {
  expiresAt: number;
  readonly entry: Entry;
  readonly scope: MemoryEventStore;
}

/** Two a write: more than one write can add, so that the expired ones never pile up. */
const expiredRemovedPerWrite = 2;

/** One scope of a store. Every call is done before it returns, so calls cannot meet, and none is ever in flight. */
class MemoryEventStore implements EventStore {
  readonly features: EventStoreFeatures = { compareAndSet: true, clock: true, cheapReads: true };
  readonly #shared: Shared;
  readonly #place: "root" | "scope";
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #due = new Heap<Due>(dueBefore);
  readonly #scopes = new Map<string, MemoryEventStore>();
  /** Made when keys are listed, dropped when a key comes or goes. */
  #sortedKeys: readonly string[] | undefined;

  constructor(shared: Shared, place: "root" | "scope") {
    this.#shared = shared;
    this.#place = place;
  }

  persist(message: Message, options?: PersistOptions): Promise<Revision> {
    if (this.#refuses(options)) return this.#refusal(options);
    const { key, source } = message;
    const sources = this.#entries.get(key);
    const existing = sources?.get(source);
    const expected = options?.expected;
    if (expected !== undefined && expected !== (existing?.revision ?? "absent")) {
      return Promise.reject(new RevisionConflictError({ key, source, expected }));
    }

    const now = this.#shared.clock.now();
    const revision = String((this.#shared.writes += 1));
    const copy = detached(message);
    const entry = existing ?? { message: copy, revision, storedAt: now, due: undefined, expiry: undefined };
    if (existing === undefined) this.#add(entry, key, source, sources);
    entry.message = copy;
    entry.revision = revision;
    entry.storedAt = now;
    this.#setDue(entry, options?.dueAt);
    this.#setExpiry(entry, options?.expiresAt);
    this.#removeExpired(now, entry);
    return Promise.resolve(revision);
  }

  lookUp(key: string, source: string, options?: StoreCallOptions): Promise<StoredMessage | undefined> {
    if (this.#refuses(options)) return this.#refusal(options);
    const entry = this.#entries.get(key)?.get(source);
    return Promise.resolve(entry && stored(entry, this.#shared.clock.now()));
  }

  lookUpByKey(key: string, options?: StoreCallOptions): Promise<readonly StoredMessage[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    const found: StoredMessage[] = [];
    const sources = this.#entries.get(key);
    if (sources === undefined) return Promise.resolve(found);
    const now = this.#shared.clock.now();
    for (const entry of sources.values()) found.push(stored(entry, now));
    return Promise.resolve(found);
  }

  listSourcesByKey(key: string, options?: StoreCallOptions): Promise<readonly string[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    return Promise.resolve([...(this.#entries.get(key)?.keys() ?? [])]);
  }

  remove(key: string, source: string, options?: RemoveOptions): Promise<void> {
    if (this.#refuses(options)) return this.#refusal(options);
    const entry = this.#entries.get(key)?.get(source);
    const expected = options?.expected;
    if (entry !== undefined && expected !== undefined && expected !== entry.revision) {
      return Promise.reject(new RevisionConflictError({ key, source, expected }));
    }
    if (entry !== undefined) this.#delete(entry);
    return Promise.resolve();
  }

  listDue(options: ListDueOptions): Promise<readonly DueEntry[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    const { before, limit, after } = options;
    const page: DueEntry[] = [];
    for (const due of this.#due.inOrder()) {
      if (due.dueAt > before || page.length >= limit) break;
      if (after === undefined || dueBefore(after, due)) page.push({ key: due.key, source: due.source, dueAt: due.dueAt });
    }
    return Promise.resolve(page);
  }

  listKeys(options: ListKeysOptions): Promise<readonly string[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    const { limit, after } = options;
    this.#sortedKeys ??= [...this.#entries.keys()].sort();
    const start = after === undefined ? 0 : countUpTo(this.#sortedKeys, after);
    return Promise.resolve(this.#sortedKeys.slice(start, start + limit));
  }

  scope(name: string): EventStore {
    const existing = this.#scopes.get(name);
    if (existing !== undefined) return existing;
    const scope = new MemoryEventStore(this.#shared, "scope");
    this.#scopes.set(name, scope);
    return scope;
  }

  close(): Promise<void> {
    if (this.#place === "root") this.#shared.closed = true;
    return Promise.resolve();
  }

  #refuses(options: StoreCallOptions | undefined): boolean {
    return this.#shared.closed || options?.signal?.aborted === true;
  }

  #refusal(options: StoreCallOptions | undefined): Promise<never> {
    return Promise.reject(this.#shared.closed ? closed() : options?.signal?.reason);
  }

  #add(entry: Entry, key: string, source: string, sources: Map<string, Entry> | undefined): void {
    if (sources === undefined) {
      const first = new Map<string, Entry>();
      first.set(source, entry);
      this.#entries.set(key, first);
      this.#sortedKeys = undefined;
    } else sources.set(source, entry);
  }

  #setDue(entry: Entry, dueAt: number | undefined): void {
    const { due } = entry;
    if (due?.dueAt === dueAt) return;
    if (dueAt === undefined) {
      if (due !== undefined) this.#due.remove(due);
      entry.due = undefined;
    } else if (due === undefined) {
      const { key, source } = entry.message;
      entry.due = { key, source, dueAt, place: 0 };
      this.#due.push(entry.due);
    } else {
      due.dueAt = dueAt;
      this.#due.move(due);
    }
  }

  #setExpiry(entry: Entry, expiresAt: number | undefined): void {
    const { expiry } = entry;
    if (expiry?.expiresAt === expiresAt) return;
    const { expiring } = this.#shared;
    if (expiresAt === undefined) {
      if (expiry !== undefined) expiring.remove(expiry);
      entry.expiry = undefined;
    } else if (expiry === undefined) {
      entry.expiry = { expiresAt, entry, scope: this, place: 0 };
      expiring.push(entry.expiry);
    } else {
      expiry.expiresAt = expiresAt;
      expiring.move(expiry);
    }
  }

  /** Never the entry just written: whoever writes one that is already past its time finds it there. */
  #removeExpired(now: number, written: Entry): void {
    for (let removed = 0; removed < expiredRemovedPerWrite; removed += 1) {
      const expiry = this.#shared.expiring.first;
      if (expiry === undefined || expiry.expiresAt > now || expiry.entry === written) return;
      expiry.scope.#delete(expiry.entry);
    }
  }

  #delete(entry: Entry): void {
    const { key, source } = entry.message;
    this.#setDue(entry, undefined);
    this.#setExpiry(entry, undefined);
    const sources = this.#entries.get(key);
    sources?.delete(source);
    if (sources?.size !== 0) return;
    this.#entries.delete(key);
    this.#sortedKeys = undefined;
  }
}

/** A copy, so that what the caller does to its own changes nothing stored. Attributes are shared: nothing but a cast can change them. */
function detached(message: Message): Message {
  const copy = { ...message };
  return typeof copy.content === "string" ? copy : { ...copy, content: new Uint8Array(copy.content) };
}

/** Written out, for this is what every read makes: spreading what may be absent takes longer than the rest of a look-up. */
function stored({ message: kept, revision, storedAt, due, expiry }: Entry, readAt: number): StoredMessage {
  const message = detached(kept);
  if (expiry === undefined) {
    if (due === undefined) return { message, revision, storedAt, readAt };
    return { message, revision, storedAt, readAt, dueAt: due.dueAt };
  }
  if (due === undefined) return { message, revision, storedAt, readAt, expiresAt: expiry.expiresAt };
  return { message, revision, storedAt, readAt, dueAt: due.dueAt, expiresAt: expiry.expiresAt };
}

function dueBefore(one: DueEntry, other: DueEntry): boolean {
  if (one.dueAt !== other.dueAt) return one.dueAt < other.dueAt;
  return one.key === other.key ? one.source < other.source : one.key < other.key;
}

function expiresBefore(one: Expiry, other: Expiry): boolean {
  return one.expiresAt < other.expiresAt;
}

/** How many of the sorted keys are not behind `key`, which need not be among them. */
function countUpTo(sortedKeys: readonly string[], key: string): number {
  let from = 0;
  let to = sortedKeys.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sortedKeys[middle] ?? "") <= key) from = middle + 1;
    else to = middle;
  }
  return from;
}

function closed(): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: "this memory store was closed; open a new one, or close it after its last use",
    retryable: true,
  });
}
