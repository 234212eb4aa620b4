import type {
  Clock,
  DueEntry,
  EventStore,
  EventStoreFeatures,
  ListDueOptions,
  ListKeysOptions,
  Logger,
  Message,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoreCallOptions,
  StoredMessage,
} from "event-driver";

import { randomUUID } from "node:crypto";
import { EventDriverError, RevisionConflictError } from "event-driver";

import type { Compressors } from "./compressor.ts";

import { type Bucket, type Generation, noGeneration, type ObjectInfo } from "./bucket.ts";
import { type Calls, requireLimit, requireTime } from "./calls.ts";
import { Deadlines } from "./deadlines.ts";
import { decodeEntry, encodeEntry, tombstone } from "./object-entries.ts";
import { ObjectNames } from "./object-names.ts";
import { parallel } from "./requests.ts";
import { contended, mostAttempts, type Write, writeOver } from "./write-over.ts";

/** What a store and all of its scopes have in common. */
export interface Shared {
  readonly bucket: Bucket;
  readonly folder: string;
  readonly compressors: Compressors;
  /** Bytes that an object may have. */
  readonly objectLimit: number;
  /** How many objects one call reads at a time. */
  readonly parallelReads: number;
  /** Whether the service removes an object only at the generation that is expected; emulators may not. */
  readonly fencedRemovals: boolean;
  /** Milliseconds after which no write can be on its way any more. */
  readonly grace: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly calls: Calls;
}

/**
 * One scope of the store, with one object an entry.
 *
 * An object's generation is the revision of its entry, and is never used again.
 *
 * Where a removal cannot be trusted to be conditional, an expected revision is removed by writing a tombstone over it, which is decided as
 * atomically as every other write, and only then by deleting that. A tombstone that stays is as good as nothing.
 */
export class Entries implements EventStore {
  readonly features: EventStoreFeatures = { compareAndSet: true, clock: true };
  readonly #shared: Shared;
  readonly #path: readonly string[];
  readonly #names: ObjectNames;
  readonly #deadlines: Deadlines;

  constructor(shared: Shared, path: readonly string[]) {
    this.#shared = shared;
    this.#path = path;
    this.#names = new ObjectNames(shared.folder, path);
    this.#deadlines = new Deadlines({ ...shared, names: this.#names });
  }

  persist(message: Message, options: PersistOptions = {}): Promise<Revision> {
    return this.#shared.calls.run(options.signal, async () => {
      requireTime("dueAt", options.dueAt);
      requireTime("expiresAt", options.expiresAt);
      const { key, source } = message;
      const { expected, signal } = options;
      const name = this.#names.entry(key, source);
      const bytes = await encodeEntry(message, options, this.#shared.compressors);
      if (bytes.length > this.#shared.objectLimit) throw tooLarge(message.id, this.#shared.objectLimit);
      const write: Write = (over) => this.#write(message, name, bytes, over, options);
      if (expected === undefined) return writeOver(this.#shared, name, write, signal);
      const revision =
        expected === "absent" ? await this.#insert(name, write, signal) : isGeneration(expected) ? await write(expected) : undefined;
      if (revision === undefined) throw new RevisionConflictError({ key, source, expected });
      return revision;
    });
  }

  lookUp(key: string, source: string, { signal }: StoreCallOptions = {}): Promise<StoredMessage | undefined> {
    return this.#shared.calls.run(signal, () => this.#read(this.#names.entry(key, source), signal));
  }

  lookUpByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly StoredMessage[]> {
    return this.#shared.calls.run(signal, async () => {
      const objects = await this.#list(key, signal);
      const entries = await parallel(objects, this.#shared.parallelReads, ({ name }) => this.#read(name, signal));
      return entries.filter((entry) => entry !== undefined);
    });
  }

  listSourcesByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly string[]> {
    return this.#shared.calls.run(signal, async () => {
      const objects = await this.#list(key, signal);
      const sources = await parallel(objects, this.#shared.parallelReads, async ({ name }) => {
        return this.#names.parseEntry(name)?.source ?? (await this.#read(name, signal))?.message.source;
      });
      return sources.filter((source) => source !== undefined);
    });
  }

  remove(key: string, source: string, { expected, signal }: RemoveOptions = {}): Promise<void> {
    return this.#shared.calls.run(signal, async () => {
      const name = this.#names.entry(key, source);
      if (expected === undefined) return this.#removeAny(name, signal);
      if (isGeneration(expected) && (await this.#removeGeneration(name, expected, signal))) return;
      const found = await this.#shared.bucket.head(name, signal);
      if (found !== undefined && !isTombstone(found)) throw new RevisionConflictError({ key, source, expected });
    });
  }

  listDue(options: ListDueOptions): Promise<readonly DueEntry[]> {
    return this.#shared.calls.run(options.signal, async () => {
      requireLimit("listDue", options.limit);
      return this.#deadlines.list(options);
    });
  }

  listKeys({ limit, after, signal }: ListKeysOptions): Promise<readonly string[]> {
    return this.#shared.calls.run(signal, async () => {
      requireLimit("listKeys", limit);
      const found = new Map<string, ObjectInfo>();
      const startOffset = after === undefined ? undefined : this.#names.behindKey(after);
      const query = { prefix: this.#names.entries, startOffset, pageSize: Math.min(limit * 4, largestPage) };
      search: for await (const { objects } of this.#shared.bucket.list(query, signal)) {
        for (const object of objects) {
          const entry = this.#names.parseEntry(object.name);
          if (entry === undefined || isTombstone(object)) continue;
          if (found.size === limit && !found.has(entry.keySegment)) break search;
          if (!found.has(entry.keySegment)) found.set(entry.keySegment, object);
        }
      }
      const keys = await parallel([...found.values()], this.#shared.parallelReads, async ({ name }) => {
        return this.#names.parseEntry(name)?.key ?? (await this.#read(name, signal))?.message.key;
      });
      return keys.filter((key) => key !== undefined);
    });
  }

  scope(name: string): EventStore {
    return new Entries(this.#shared, [...this.#path, name]);
  }

  /** A scope owns nothing; the store that it came from closes what there is. */
  async close(): Promise<void> {}

  /** Writes where there is no entry. */
  async #insert(name: string, write: Write, signal: AbortSignal | undefined): Promise<Generation | undefined> {
    const revision = await write(noGeneration);
    if (revision !== undefined || this.#shared.fencedRemovals) return revision;
    const found = await this.#shared.bucket.head(name, signal);
    // The object is a removed entry's, or it has gone meanwhile: then the next write decides.
    if (found === undefined) return write(noGeneration);
    return isTombstone(found) ? write(found.generation) : undefined;
  }

  /** Resolves to `undefined` on a conflict. */
  async #write(
    message: Message,
    name: string,
    bytes: Uint8Array,
    over: Generation,
    options: PersistOptions,
  ): Promise<Generation | undefined> {
    const { key, source } = message;
    const { dueAt, expiresAt, signal } = options;
    const token = randomUUID();
    // First, for a deadline that leads nowhere is dropped when it is found, and one that nobody finds is lost.
    if (dueAt !== undefined) await this.#deadlines.add({ key, source, dueAt, token, over, expiresAt }, signal);
    return this.#shared.bucket.put({ name, bytes, expected: over, token, customTime: expiresAt }, signal);
  }

  async #read(name: string, signal: AbortSignal | undefined): Promise<StoredMessage | undefined> {
    const { bucket, objectLimit, compressors } = this.#shared;
    const content = await bucket.get(name, objectLimit, signal);
    if (content === undefined || content.bytes.length === 0) return undefined;
    const { generation, modifiedAt, answeredAt } = content;
    const entry = await decodeEntry(name, content.bytes, compressors);
    if (modifiedAt === undefined || answeredAt === undefined) return { ...entry, revision: generation };
    // Both times are cut off to the second. A lease that is counted between them must not look older than it is.
    const storedAt = modifiedAt + 999;
    return { ...entry, revision: generation, storedAt, readAt: Math.max(answeredAt, storedAt) };
  }

  /** The objects under a key that are entries. */
  async #list(key: string, signal: AbortSignal | undefined): Promise<readonly ObjectInfo[]> {
    const found: ObjectInfo[] = [];
    for await (const { objects } of this.#shared.bucket.list({ prefix: this.#names.ofKey(key) }, signal)) {
      found.push(...objects.filter((object) => !isTombstone(object) && this.#names.parseEntry(object.name) !== undefined));
    }
    return found;
  }

  async #removeAny(name: string, signal: AbortSignal | undefined): Promise<void> {
    const { bucket } = this.#shared;
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      const found = await bucket.head(name, signal);
      if (found === undefined || isTombstone(found) || (await bucket.remove(name, found.generation, signal))) return;
    }
    throw contended(name);
  }

  /** Resolves to `false` when the object is not at this generation. */
  async #removeGeneration(name: string, expected: Generation, signal: AbortSignal | undefined): Promise<boolean> {
    const { bucket, clock, fencedRemovals } = this.#shared;
    if (fencedRemovals) return bucket.remove(name, expected, signal);
    const metadata = { [tombstoneMark]: "yes" };
    const grave = { name, bytes: tombstone, expected, token: randomUUID(), metadata, customTime: clock.now() };
    const buried = await bucket.put(grave, signal);
    if (buried !== undefined) await this.#clear(name, buried);
    return buried !== undefined;
  }

  /** Nothing depends on it any more: what is left is collected by the bucket's lifecycle rule, or written over. */
  async #clear(name: string, generation: Generation): Promise<void> {
    try {
      await this.#shared.bucket.remove(name, generation);
    } catch (error) {
      this.#shared.logger.debug({ err: error, object: name }, "a removed entry has left a tombstone; the lifecycle rule collects it");
    }
  }
}

/** Objects that one list may give at most. */
const largestPage = 1_000;

const tombstoneMark = "tombstone";

function isTombstone({ metadata }: ObjectInfo): boolean {
  return metadata[tombstoneMark] !== undefined;
}

/** Whether a revision can be one of ours: a generation is a positive number of 64 bits. */
function isGeneration(revision: Revision): boolean {
  return /^[1-9]\d{0,18}$/.test(revision) && BigInt(revision) < 2n ** 63n;
}

function tooLarge(id: string, limit: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `gcsEventStore: message ${JSON.stringify(id)} makes an object of more than ${limit} bytes; raise maxContentBytes, or keep its content elsewhere`,
    retryable: false,
  });
}
