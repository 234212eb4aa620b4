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
import { nothing } from "./event-store.ts";

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
  readonly expiring: Heap<Entry>;
  /** Counts the writes of all scopes: each one's number is its revision. */
  writes: number;
  closed: boolean;
}

/** One that expires is an item of the heap by itself: a further object for each would make up a third of what is kept. */
interface Entry extends HeapItem {
  message: Message;
  revision: Revision;
  storedAt: number;
  due: Due | undefined;
  expiresAt: number | undefined;
  readonly scope: MemoryEventStore;
}

/** What stands under one key: mostly a single entry, and a map for that would take more room than the entry. */
type UnderKey = Entry | Map<string, Entry>;

interface Due extends DueEntry, HeapItem {}

/** Two a write: more than one write can add, so that the expired ones never pile up. */
const expiredRemovedPerWrite = 2;

/** One scope of a store. Every call is done before it returns, so calls cannot meet, and none is ever in flight. */
class MemoryEventStore implements EventStore {
  readonly features: EventStoreFeatures = { compareAndSet: true, clock: true, cheapReads: true };
  readonly #shared: Shared;
  readonly #place: "root" | "scope";
  readonly #keys = new Map<string, UnderKey>();
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
    const under = this.#keys.get(key);
    const existing = entryOf(under, source);
    const expected = options?.expected;
    if (expected !== undefined && expected !== (existing?.revision ?? "absent")) {
      return Promise.reject(new RevisionConflictError({ key, source, expected }));
    }

    const now = this.#shared.clock.now();
    const revision = String((this.#shared.writes += 1));
    const copy = detached(message);
    const entry = existing ?? {
      message: copy,
      revision,
      storedAt: now,
      due: undefined,
      expiresAt: undefined,
      scope: this,
      place: 0,
    };
    if (existing === undefined) this.#add(entry, under);
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
    const entry = entryOf(this.#keys.get(key), source);
    return entry ? Promise.resolve(stored(entry, this.#shared.clock.now())) : nothing;
  }

  lookUpByKey(key: string, options?: StoreCallOptions): Promise<readonly StoredMessage[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    const found: StoredMessage[] = [];
    const now = this.#shared.clock.now();
    for (const entry of entriesOf(this.#keys.get(key))) found.push(stored(entry, now));
    return Promise.resolve(found);
  }

  listSourcesByKey(key: string, options?: StoreCallOptions): Promise<readonly string[]> {
    if (this.#refuses(options)) return this.#refusal(options);
    const found: string[] = [];
    for (const { message } of entriesOf(this.#keys.get(key))) found.push(message.source);
    return Promise.resolve(found);
  }

  remove(key: string, source: string, options?: RemoveOptions): Promise<void> {
    if (this.#refuses(options)) return this.#refusal(options);
    const entry = entryOf(this.#keys.get(key), source);
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
    this.#sortedKeys ??= [...this.#keys.keys()].sort();
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

  #add(entry: Entry, under: UnderKey | undefined): void {
    const { key, source } = entry.message;
    if (under instanceof Map) under.set(source, entry);
    else if (under !== undefined) {
      const sources = new Map<string, Entry>();
      sources.set(under.message.source, under).set(source, entry);
      this.#keys.set(key, sources);
    } else {
      this.#keys.set(key, entry);
      this.#sortedKeys = undefined;
    }
  }

  #setDue(entry: Entry, dueAt: number | undefined): void {
    const { due, message } = entry;
    if (due?.dueAt === dueAt) return;
    if (due !== undefined) this.#due.remove(due);
    entry.due = dueAt === undefined ? undefined : { key: message.key, source: message.source, dueAt, place: 0 };
    if (entry.due !== undefined) this.#due.push(entry.due);
  }

  #setExpiry(entry: Entry, expiresAt: number | undefined): void {
    const { expiring } = this.#shared;
    const before = entry.expiresAt;
    if (before === expiresAt) return;
    if (expiresAt === undefined) expiring.remove(entry);
    entry.expiresAt = expiresAt;
    if (before === undefined) expiring.push(entry);
    else if (expiresAt !== undefined) expiring.move(entry);
  }

  /** Never the entry just written: whoever writes one that is already past its time finds it there. */
  #removeExpired(now: number, written: Entry): void {
    for (let removed = 0; removed < expiredRemovedPerWrite; removed += 1) {
      const first = this.#shared.expiring.first;
      if (first === undefined || first === written || expiryOf(first) > now) return;
      first.scope.#delete(first);
    }
  }

  #delete(entry: Entry): void {
    const { key, source } = entry.message;
    this.#setDue(entry, undefined);
    this.#setExpiry(entry, undefined);
    const under = this.#keys.get(key);
    if (under instanceof Map) {
      under.delete(source);
      if (under.size > 0) return;
    }
    this.#keys.delete(key);
    this.#sortedKeys = undefined;
  }
}

function entryOf(under: UnderKey | undefined, source: string): Entry | undefined {
  if (under instanceof Map) return under.get(source);
  return under?.message.source === source ? under : undefined;
}

function entriesOf(under: UnderKey | undefined): Iterable<Entry> {
  if (under instanceof Map) return under.values();
  return under === undefined ? [] : [under];
}

/** A copy, so that what the caller does to its own changes nothing stored. Attributes are shared: nothing but a cast can change them. */
function detached(message: Message): Message {
  const copy = { ...message };
  return typeof copy.content === "string" ? copy : { ...copy, content: new Uint8Array(copy.content) };
}

/** Written out, for this is what every read makes: spreading what may be absent takes longer than the rest of a look-up. */
function stored({ message, revision, storedAt, due, expiresAt }: Entry, readAt: number): StoredMessage {
  const found: { -readonly [Part in keyof StoredMessage]: StoredMessage[Part] } = {
    message: detached(message),
    revision,
    storedAt,
    readAt,
  };
  if (due !== undefined) found.dueAt = due.dueAt;
  if (expiresAt !== undefined) found.expiresAt = expiresAt;
  return found;
}

function dueBefore(one: DueEntry, other: DueEntry): boolean {
  if (one.dueAt !== other.dueAt) return one.dueAt < other.dueAt;
  return one.key === other.key ? one.source < other.source : one.key < other.key;
}

function expiresBefore(one: Entry, other: Entry): boolean {
  return expiryOf(one) < expiryOf(other);
}

function expiryOf({ expiresAt = Infinity }: Entry): number {
  return expiresAt;
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
    message: "this memory store is closed; close it after its last use",
    retryable: true,
  });
}
