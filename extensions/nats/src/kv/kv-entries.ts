import {
  type Clock,
  type DueEntry,
  type EventStore,
  type EventStoreFeatures,
  EventDriverError,
  type ListDueOptions,
  type ListKeysOptions,
  type Message,
  type PersistOptions,
  type RemoveOptions,
  type Revision,
  RevisionConflictError,
  type StoreCallOptions,
  type StoredMessage,
} from "event-driver";

import type { Bucket } from "./bucket.ts";

import { type Calls, requireLimit, requireTime } from "./calls.ts";
import { keyToken, sourceToken, Subjects } from "./subjects.ts";
import { decodeEntry, encodeEntry } from "./values.ts";

/** What a store and all of its scopes have in common. */
export interface Shared {
  readonly bucket: Bucket;
  readonly bucketName: string;
  /** Milliseconds for which an entry stays beyond its `expiresAt`. */
  readonly grace: number;
  /** How many entries one call reads at a time. */
  readonly parallelReads: number;
  readonly clock: Clock;
  readonly calls: Calls;
}

/** Headers of an entry: what is looked for without reading it. */
const dueHeader = "Event-Driver-Due-At";
const namesHeader = "Event-Driver-Names";

/** Seconds. The broker counts no further than this many years, and an entry that is to stay longer may stay for ever. */
const longestLifetime = 100 * 365 * 86_400;

/** How often a removal begins anew, because somebody wrote in between. */
const mostAttempts = 100;

/**
 * One scope of the store: the last message of a subject is an entry, and its place in the stream the revision, which is never used again.
 */
export class KvEntries implements EventStore {
  readonly features: EventStoreFeatures = { compareAndSet: true, clock: false };
  readonly #shared: Shared;
  readonly #path: readonly string[];
  readonly #subjects: Subjects;

  constructor(shared: Shared, path: readonly string[]) {
    this.#shared = shared;
    this.#path = path;
    this.#subjects = new Subjects(shared.bucketName, path);
  }

  persist(message: Message, options: PersistOptions = {}): Promise<Revision> {
    const { bucket, calls } = this.#shared;
    return calls.run(options.signal, async () => {
      requireTime("dueAt", options.dueAt);
      requireTime("expiresAt", options.expiresAt);
      const { id, key, source } = message;
      const { expected, signal } = options;
      const over = expected === undefined ? undefined : expected === "absent" ? 0 : sequenceOf(expected);
      const isPossible = expected === undefined || over !== undefined;
      const value = encodeEntry(message, options);
      const put = { id, subject: this.#subjects.entry(key, source), headers: this.#headersOf(message, options), value, over, signal };
      const revision = isPossible ? await bucket.put(put) : undefined;
      if (revision === undefined) throw new RevisionConflictError({ key, source, expected: expected ?? "absent" });
      return String(revision);
    });
  }

  lookUp(key: string, source: string, { signal }: StoreCallOptions = {}): Promise<StoredMessage | undefined> {
    return this.#shared.calls.run(signal, () => this.#read(this.#subjects.entry(key, source)));
  }

  lookUpByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly StoredMessage[]> {
    const { bucket, calls } = this.#shared;
    return calls.run(signal, async () => {
      const subjects = await bucket.subjects(this.#subjects.ofKey(key));
      const entries = await this.#inParallel(subjects, (subject) => this.#read(subject));
      return entries.filter((entry) => entry !== undefined);
    });
  }

  listSourcesByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly string[]> {
    const { bucket, calls } = this.#shared;
    return calls.run(signal, async () => {
      const subjects = await bucket.subjects(this.#subjects.ofKey(key));
      const sources = await this.#inParallel(subjects, async (subject) => {
        return this.#subjects.parse(subject).source ?? (await this.#read(subject))?.message.source;
      });
      return sources.filter((source) => source !== undefined);
    });
  }

  remove(key: string, source: string, { expected, signal }: RemoveOptions = {}): Promise<void> {
    const { bucket, calls } = this.#shared;
    return calls.run(signal, async () => {
      const subject = this.#subjects.entry(key, source);
      for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
        const found = await bucket.get(subject);
        if (found === undefined) return;
        if (expected !== undefined && String(found.seq) !== expected) throw new RevisionConflictError({ key, source, expected });
        // A message's place in the stream is deleted, so what somebody writes meanwhile is not met.
        if (await bucket.delete(found.seq)) return;
      }
      throw contended(key, source);
    });
  }

  listDue({ before, limit, after, signal }: ListDueOptions): Promise<readonly DueEntry[]> {
    const { bucket, calls } = this.#shared;
    return calls.run(signal, async () => {
      requireLimit("listDue", limit);
      const heads = await bucket.heads(this.#subjects.all);
      const due = heads.flatMap(({ subject, headers }): SortedEntry[] => {
        const dueAt = headers.has(dueHeader) ? Number(headers.get(dueHeader)) : undefined;
        if (dueAt === undefined || dueAt > before) return [];
        const { key, source, keyToken: ofKey, sourceToken: ofSource } = this.#subjects.parse(subject);
        const [longKey = "", longSource = ""] = namesIn(headers.get(namesHeader));
        return [{ entry: { key: key ?? longKey, source: source ?? longSource, dueAt }, order: `${ofKey}.${ofSource}` }];
      });
      const last = after && { entry: after, order: `${keyToken(after.key)}.${sourceToken(after.source)}` };
      return due
        .filter((each) => last === undefined || byTime(each, last) > 0)
        .toSorted(byTime)
        .slice(0, limit)
        .map(({ entry }) => entry);
    });
  }

  listKeys({ limit, after, signal }: ListKeysOptions): Promise<readonly string[]> {
    const { bucket, calls } = this.#shared;
    return calls.run(signal, async () => {
      requireLimit("listKeys", limit);
      const behind = after === undefined ? "" : keyToken(after);
      const byToken = new Map<string, string>();
      for (const subject of await bucket.subjects(this.#subjects.all)) byToken.set(this.#subjects.parse(subject).keyToken, subject);
      const page = [...byToken]
        .filter(([token]) => after === undefined || token > behind)
        .toSorted(([one], [other]) => (one < other ? -1 : 1));
      const keys = await this.#inParallel(page.slice(0, limit), async ([, subject]) => {
        return this.#subjects.parse(subject).key ?? (await this.#read(subject))?.message.key;
      });
      return keys.filter((key) => key !== undefined);
    });
  }

  scope(name: string): EventStore {
    return new KvEntries(this.#shared, [...this.#path, name]);
  }

  /** The store that it came from owns what there is to close. */
  async close(): Promise<void> {}

  #headersOf({ key, source }: Message, { dueAt, expiresAt }: PersistOptions): Readonly<Record<string, string>> {
    const { grace, clock } = this.#shared;
    const { key: shortKey, source: shortSource } = this.#subjects.parse(this.#subjects.entry(key, source));
    const isShort = shortKey !== undefined && shortSource !== undefined;
    // By the difference alone, so that the broker's clock need not agree with ours; it takes whole seconds, from one on.
    const lifetime = expiresAt === undefined ? Infinity : Math.max(1, Math.ceil((expiresAt - clock.now() + grace) / 1_000));
    return {
      ...(dueAt !== undefined && { [dueHeader]: String(dueAt) }),
      ...(!isShort && { [namesHeader]: Buffer.from(JSON.stringify([key, source])).toString("base64") }),
      ...(lifetime <= longestLifetime && { "Nats-TTL": `${lifetime}s` }),
    };
  }

  async #read(subject: string): Promise<StoredMessage | undefined> {
    const found = await this.#shared.bucket.get(subject);
    return found && { ...decodeEntry(subject, found.data), revision: String(found.seq) };
  }

  async #inParallel<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
    const results: Result[] = [];
    const { parallelReads } = this.#shared;
    for (let from = 0; from < items.length; from += parallelReads)
      results.push(...(await Promise.all(items.slice(from, from + parallelReads).map(work))));
    return results;
  }
}

interface SortedEntry {
  readonly entry: DueEntry;
  readonly order: string;
}

function byTime(one: SortedEntry, other: SortedEntry): number {
  if (one.entry.dueAt !== other.entry.dueAt) return one.entry.dueAt < other.entry.dueAt ? -1 : 1;
  if (one.order === other.order) return 0;
  return one.order < other.order ? -1 : 1;
}

function namesIn(header: string): readonly [string, string] | readonly [] {
  return header === "" ? [] : JSON.parse(Buffer.from(header, "base64").toString());
}

/** `undefined` for what cannot be one of ours. */
function sequenceOf(revision: Revision): number | undefined {
  return /^[1-9]\d{0,15}$/.test(revision) ? Number(revision) : undefined;
}

function contended(key: string, source: string): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `natsKvEventStore: the entry of key ${JSON.stringify(key)} and source ${JSON.stringify(source)} was written again ${mostAttempts} times while it was removed; try it again`,
    retryable: true,
  });
}
