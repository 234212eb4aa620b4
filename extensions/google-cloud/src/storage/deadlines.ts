import type { DueEntry, ListDueOptions, Logger } from "event-driver";

import { Buffer } from "node:buffer";

import { type Bucket, type Generation, noGeneration, type ObjectInfo } from "./bucket.ts";
import { type DueName, isHashed, type ObjectNames } from "./object-names.ts";
import { parallel } from "./requests.ts";

/** A deadline, and the write that it comes with. */
export interface Deadline extends DueEntry {
  readonly token: string;
  /** The generation that the write replaces. */
  readonly over: Generation;
  readonly expiresAt: number | undefined;
}

export interface DeadlinesOptions {
  readonly bucket: Bucket;
  readonly names: ObjectNames;
  readonly parallelReads: number;
  readonly grace: number;
  readonly logger: Logger;
}

/**
 * The deadlines of one scope: an empty object for each, whose name sorts by time, so that those that are due are listed without the others.
 *
 * Each belongs to one write, by its token, and counts as long as the entry is as that write left it. It is written before the entry, and dropped
 * by whoever finds that it counts no more.
 */
export class Deadlines {
  readonly #bucket: Bucket;
  readonly #names: ObjectNames;
  readonly #parallelReads: number;
  readonly #grace: number;
  readonly #logger: Logger;

  constructor({ bucket, names, parallelReads, grace, logger }: DeadlinesOptions) {
    this.#bucket = bucket;
    this.#names = names;
    this.#parallelReads = parallelReads;
    this.#grace = grace;
    this.#logger = logger;
  }

  async add({ key, source, dueAt, token, over, expiresAt }: Deadline, signal: AbortSignal | undefined): Promise<void> {
    await this.#bucket.put(
      {
        name: this.#names.due(dueAt, key, source, token),
        bytes: isHashed(key, source) ? Buffer.from(JSON.stringify([key, source])) : new Uint8Array(),
        expected: noGeneration,
        token,
        metadata: { [overMark]: over },
        // Only with an entry that may go: one that stays may be due for as long as nobody sweeps.
        customTime: expiresAt === undefined ? undefined : Math.max(dueAt, expiresAt),
      },
      signal,
    );
  }

  async list({ before, limit, after, signal }: ListDueOptions): Promise<readonly DueEntry[]> {
    const found: DueEntry[] = [];
    const query = {
      prefix: this.#names.deadlines,
      startOffset: after && this.#names.behindDue(after.dueAt, after.key, after.source),
      endOffset: this.#names.behindDueAt(before),
      pageSize: Math.min(Math.max(limit * 2, smallestPage), largestPage),
    };
    for await (const { objects, answeredAt = 0 } of this.#bucket.list(query, signal)) {
      for (let from = 0; from < objects.length;) {
        const batch = objects.slice(from, from + Math.min(this.#parallelReads, limit - found.length));
        const due = await parallel(batch, this.#parallelReads, (object) => this.#dueEntry(object, answeredAt, signal));
        found.push(...due.filter((entry) => entry !== undefined));
        if (found.length === limit) return found;
        from += batch.length;
      }
    }
    return found;
  }

  /** `undefined` where the deadline does not count. */
  async #dueEntry(object: ObjectInfo, now: number, signal: AbortSignal | undefined): Promise<DueEntry | undefined> {
    const deadline = this.#names.parseDue(object.name);
    if (deadline === undefined) return undefined;
    const entry = await this.#bucket.head(deadline.entry, signal);
    if (entry?.metadata["token"] === deadline.token) return this.#namedEntry(object, deadline, signal);
    // While the entry is what its write is to replace, that may still be on its way.
    const mayCome = (entry?.generation ?? noGeneration) === object.metadata[overMark];
    if (!mayCome || now - object.updatedAt > this.#grace) await this.#drop(object);
    return undefined;
  }

  async #namedEntry(object: ObjectInfo, { dueAt, key, source }: DueName, signal: AbortSignal | undefined): Promise<DueEntry | undefined> {
    if (key !== undefined && source !== undefined) return { key, source, dueAt };
    const content = await this.#bucket.get(object.name, longestNames, signal);
    if (content === undefined) return undefined;
    const [longKey, longSource]: readonly [string, string] = JSON.parse(content.bytes.toString());
    return { key: longKey, source: longSource, dueAt };
  }

  async #drop({ name, generation }: ObjectInfo): Promise<void> {
    try {
      await this.#bucket.remove(name, generation);
    } catch (error) {
      this.#logger.warn(
        { err: error, object: name },
        "a deadline that counts no more could not be dropped; the next list of due entries tries again",
      );
    }
  }
}

/** Metadata of a deadline: the generation that its write replaces. */
const overMark = "replaces";

const smallestPage = 16;
const largestPage = 1_000;

/** Bytes of a key and a source that are too long for a name, as JSON. */
const longestNames = 64 * 1024 * 1024;
