import type {
  DueEntry,
  EventStore,
  EventStoreFeatures,
  ListDueOptions,
  ListKeysOptions,
  Message,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoreCallOptions,
  StoredMessage,
} from "event-driver";

import { randomUUID } from "node:crypto";
import { EventDriverError, quote, RevisionConflictError } from "event-driver";

import type { ObjectInfo } from "./bucket.ts";
import type { Shared } from "./entries.ts";

import { requireLimit, requireTime } from "./calls.ts";
import { decodeMessage, describeMessage, encodeContent } from "./go-message.ts";
import { GoNames } from "./go-names.ts";
import { chooseObject, type ReadPolicy } from "./read-policy.ts";
import { parallel } from "./requests.ts";
import { contended, mostAttempts, writeOver } from "./write-over.ts";

/** What is shared, and which object under a key and source is read. */
export interface GoShared extends Omit<Shared, "fencedRemovals" | "grace"> {
  readonly readPolicy: ReadPolicy;
}

/**
 * The messages in a bucket of the Go original: one object for each content that ever came for a key and source, of which the read policy chooses.
 *
 * The layout knows no scopes, so it has room for one: the handler that asks first works on the very objects of the Go service.
 */
export class GoEntries implements EventStore {
  readonly features: EventStoreFeatures = { compareAndSet: false, clock: true };
  readonly #shared: GoShared;
  readonly #names: GoNames;
  /** The scope that these are the entries of; `undefined` for the store itself. */
  readonly #name: string | undefined;
  #scope: { readonly name: string; readonly entries: EventStore } | undefined;

  constructor(shared: GoShared, name?: string) {
    this.#shared = shared;
    this.#names = new GoNames(shared.folder);
    this.#name = name;
  }

  persist(message: Message, options: PersistOptions = {}): Promise<Revision> {
    return this.#shared.calls.run(options.signal, async () => {
      requireTime("expiresAt", options.expiresAt);
      if (options.dueAt !== undefined) throw withoutDeadlines(message);
      const { bucket, compressors, objectLimit } = this.#shared;
      const { key, source } = message;
      const { expected, expiresAt, signal } = options;
      const metadata = describeMessage(message, options);
      const bytes = await encodeContent(message, compressors);
      if (bytes.length > objectLimit) throw tooLarge(message, objectLimit);
      const name = this.#names.object(key, source, bytes);
      if (expected !== undefined && ((await this.#revision(key, source, signal)) ?? "absent") !== expected) {
        throw new RevisionConflictError({ key, source, expected });
      }
      const object = { name, bytes, metadata, customTime: expiresAt };
      const generation = await writeOver(
        this.#shared,
        name,
        (over) => bucket.put({ ...object, token: randomUUID(), expected: over }, signal),
        signal,
      );
      return revisionOf({ name, generation });
    });
  }

  lookUp(key: string, source: string, { signal }: StoreCallOptions = {}): Promise<StoredMessage | undefined> {
    return this.#shared.calls.run(signal, async () => {
      const object = await this.#find(key, source, signal);
      return object && this.#read(object, signal);
    });
  }

  lookUpByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly StoredMessage[]> {
    return this.#shared.calls.run(signal, async () => {
      const { readPolicy, parallelReads } = this.#shared;
      const bySource = Map.groupBy(await this.#list(this.#names.ofKey(key), signal), ({ name }) => this.#names.parse(name)?.source);
      const chosen = [...bySource.values()].map((objects) => chooseObject(readPolicy, objects)).filter((object) => object !== undefined);
      const entries = await parallel(chosen, parallelReads, (object) => this.#read(object, signal));
      return entries.filter((entry) => entry !== undefined);
    });
  }

  listSourcesByKey(key: string, { signal }: StoreCallOptions = {}): Promise<readonly string[]> {
    return this.#shared.calls.run(signal, async () => {
      const sources: string[] = [];
      for await (const { prefixes } of this.#shared.bucket.list({ prefix: this.#names.ofKey(key), delimiter: "/" }, signal)) {
        sources.push(...this.#lastParts(prefixes));
      }
      return sources;
    });
  }

  remove(key: string, source: string, { expected, signal }: RemoveOptions = {}): Promise<void> {
    return this.#shared.calls.run(signal, async () => {
      const prefix = this.#names.ofSource(key, source);
      for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
        const objects = await this.#list(prefix, signal);
        const chosen = chooseObject(this.#shared.readPolicy, objects);
        if (chosen === undefined) return;
        if (expected !== undefined && revisionOf(chosen) !== expected) throw new RevisionConflictError({ key, source, expected });
        if (await this.#removeAll(objects, signal)) return;
      }
      throw contended(prefix);
    });
  }

  /** None: {@link persist} takes no deadline. */
  listDue({ limit, signal }: ListDueOptions): Promise<readonly DueEntry[]> {
    return this.#shared.calls.run(signal, async () => {
      requireLimit("listDue", limit);
      return [];
    });
  }

  listKeys({ limit, after, signal }: ListKeysOptions): Promise<readonly string[]> {
    return this.#shared.calls.run(signal, async () => {
      requireLimit("listKeys", limit);
      const keys: string[] = [];
      const startOffset = after === undefined ? undefined : this.#names.behindKey(after);
      const query = { prefix: this.#names.root, delimiter: "/", startOffset, pageSize: Math.min(limit, largestPage) };
      for await (const { prefixes } of this.#shared.bucket.list(query, signal)) {
        keys.push(...this.#lastParts(prefixes));
        if (keys.length >= limit) break;
      }
      return keys.slice(0, limit);
    });
  }

  /** @throws EventDriverError `ERR_SCOPE_TAKEN` for any but the first name that is asked for */
  scope(name: string): EventStore {
    if (this.#name !== undefined) throw noFurtherScope(name, this.#name);
    this.#scope ??= { name, entries: new GoEntries(this.#shared, name) };
    if (this.#scope.name !== name) throw noFurtherScope(name, this.#scope.name);
    return this.#scope.entries;
  }

  /** A scope owns nothing; the store that it came from closes what there is. */
  async close(): Promise<void> {}

  async #revision(key: string, source: string, signal: AbortSignal | undefined): Promise<Revision | undefined> {
    const object = await this.#find(key, source, signal);
    return object && revisionOf(object);
  }

  async #find(key: string, source: string, signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
    return chooseObject(this.#shared.readPolicy, await this.#list(this.#names.ofSource(key, source), signal));
  }

  async #list(prefix: string, signal: AbortSignal | undefined): Promise<readonly ObjectInfo[]> {
    const found: ObjectInfo[] = [];
    for await (const { objects } of this.#shared.bucket.list({ prefix }, signal)) {
      found.push(...objects.filter(({ name }) => this.#names.parse(name) !== undefined));
    }
    return found;
  }

  #lastParts(prefixes: readonly string[]): readonly string[] {
    return prefixes.map((prefix) => this.#names.lastPart(prefix)).filter((part) => part !== undefined);
  }

  /** `undefined` for an object that has been removed since it was listed. */
  async #read(object: ObjectInfo, signal: AbortSignal | undefined): Promise<StoredMessage | undefined> {
    const { bucket, objectLimit, compressors } = this.#shared;
    const goName = this.#names.parse(object.name);
    const content = await bucket.get(object.name, objectLimit, signal);
    if (content === undefined || goName === undefined) return undefined;
    const entry = await decodeMessage(goName, content.bytes, object.metadata, compressors);
    const storedAt = object.createdAt;
    // The time of the answer is cut off to the second.
    return { ...entry, revision: revisionOf(object), storedAt, readAt: Math.max(content.answeredAt ?? 0, storedAt) };
  }

  /** Resolves to `false` when one of them has been written anew meanwhile. */
  async #removeAll(objects: readonly ObjectInfo[], signal: AbortSignal | undefined): Promise<boolean> {
    const { bucket, parallelReads } = this.#shared;
    const removed = await parallel(objects, parallelReads, ({ name, generation }) => bucket.remove(name, generation, signal));
    return removed.every(Boolean);
  }
}

/** Objects that one list may give at most. */
const largestPage = 1_000;

/** A generation is unique only to its object. */
function revisionOf({ name, generation }: Pick<ObjectInfo, "name" | "generation">): Revision {
  return `${generation}/${name.slice(name.lastIndexOf("/") + 1)}`;
}

function withoutDeadlines({ key, source }: Message): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `gcsEventStore: the layout "go" keeps no deadlines, and the entry of key ${quote(key)} and source ${quote(source)} comes with one; let the handler keep it elsewhere, as joiner({ claims }) does`,
    retryable: false,
  });
}

function tooLarge({ id }: Message, limit: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `gcsEventStore: message ${quote(id)} makes an object of more than ${limit} bytes; raise maxContentBytes, or keep its content elsewhere`,
    retryable: false,
  });
}

function noFurtherScope(name: string, taken: string): EventDriverError {
  return new EventDriverError("ERR_SCOPE_TAKEN", {
    message: `gcsEventStore: the layout "go" has no scopes, so a store serves one handler, here that of scope ${quote(taken)}; give that of scope ${quote(name)} a store of its own`,
    retryable: false,
  });
}
