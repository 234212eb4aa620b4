import type { Bucket as ClientBucket } from "@google-cloud/storage";

import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";

import { type Clock, EventDriverError, isEventDriverError, sleep } from "event-driver";

import { isThrottled, isTransient, statusOf } from "./failures.ts";
import { checksumOf, isMissingObject, type RequestOptions, Requests, type Timeouts } from "./requests.ts";

/** The number of an object's generation, as text: it may be larger than a JavaScript number is exact. */
export type Generation = string;

/** What a write expects where there must be no object. */
export const noGeneration: Generation = "0";

/** What the service knows of an object beside its content. */
export interface ObjectInfo {
  readonly name: string;
  readonly generation: Generation;
  /** When it was first written, in epoch milliseconds on the service's clock. */
  readonly createdAt: number;
  /** When this generation was written, on the same clock. */
  readonly updatedAt: number;
  /** Custom metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ObjectContent {
  readonly bytes: Buffer;
  readonly generation: Generation;
  /** When it was written, in epoch milliseconds on the service's clock, cut off to the second. */
  readonly modifiedAt: number | undefined;
  /** When it was read, on the same clock, cut off to the second. */
  readonly answeredAt: number | undefined;
}

export interface PutObject {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The generation that it must replace, {@link noGeneration} for none. */
  readonly expected: Generation;
  readonly contentType?: string;
  /**
   * Random for each write. Only with it can a write whose answer was lost be told from another's: without it, a conflict is a conflict.
   * @default none
   */
  readonly token?: string;
  /** Further custom metadata: at most 8 KiB in all. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Epoch milliseconds that a lifecycle rule of the bucket may go by. */
  readonly customTime?: number | undefined;
}

export interface ListQuery {
  readonly prefix: string;
  /** Names before this are left out. */
  readonly startOffset?: string | undefined;
  /** So are this one and those after it. */
  readonly endOffset?: string | undefined;
  /** Names are cut off after the first one behind `prefix`, and listed once as prefixes. */
  readonly delimiter?: string;
  /** Objects a page. */
  readonly pageSize?: number;
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  readonly prefixes: readonly string[];
  /** When it was listed, in epoch milliseconds on the service's clock, cut off to the second. */
  readonly answeredAt: number | undefined;
}

export interface BucketOptions {
  readonly bucket: ClientBucket;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
  readonly random: () => number;
}

type Signal = AbortSignal | undefined;

/**
 * The objects of one bucket, and the only place that talks to the client.
 *
 * Every write and removal names the generation that it replaces, so that it can be sent again over an unclear answer.
 */
export class Bucket {
  readonly #requests: Requests;
  readonly #bucket: ClientBucket;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** When this process last wrote an object, for those that may not be written yet again. Oldest first. */
  readonly #written = new Map<string, number>();

  constructor({ bucket, timeouts, clock, random }: BucketOptions) {
    this.#requests = new Requests(bucket, timeouts, clock);
    this.#bucket = bucket;
    this.#clock = clock;
    this.#random = random;
  }

  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void> {
    return this.#requests.settled();
  }

  /**
   * Writes an object in one request. Resolves to its new generation, or to `undefined` when another one is there than expected.
   *
   * An answer that is unclear is cleared up by the object's token. An object that was written within the last second is written as soon as the
   * service takes it: it refuses more than about one write a second.
   *
   * @throws EventDriverError `ERR_STORE_UNAVAILABLE` when it may have been written; `ERR_STORE_FAILED`
   */
  put(object: PutObject, signal?: Signal): Promise<Generation | undefined> {
    return this.#requests.run("write", signal, async (givenUp) => {
      const request = this.#putRequest(object);
      let throttled = 0;
      for (let unclear = 0; ;) {
        try {
          return this.#landed(object.name, infoOf((await this.#requests.send(request)).body).generation);
        } catch (error) {
          givenUp.throwIfAborted();
          if (statusOf(error) === 412) return unclear === 0 ? undefined : await this.#readBack(object, error);
          if (isThrottled(error)) {
            await sleep(this.#clock, this.#untilWritable(object.name, throttled), givenUp);
            throttled += 1;
          } else if (!isTransient(error)) throw error;
          else if (unclear >= this.#mostRetries()) return await this.#readBack(object, error);
          else {
            await sleep(this.#clock, this.#backoff(unclear), givenUp);
            unclear += 1;
          }
        }
      }
    });
  }

  /** An object's whole content in one request; `undefined` where there is none. */
  get(name: string, limit: number, signal?: Signal): Promise<ObjectContent | undefined> {
    return this.#requests.run("read", signal, async (givenUp) => {
      const download = await this.#again(givenUp, () => this.#requests.download(name, limit, givenUp));
      if (download === undefined) return undefined;
      const { bytes, headers } = download;
      return {
        bytes,
        generation: String(headers["x-goog-generation"]),
        modifiedAt: timeOf(headers["last-modified"]),
        answeredAt: timeOf(headers["date"]),
      };
    });
  }

  /** All of an object but its content; `undefined` where there is none. */
  head(name: string, signal?: Signal): Promise<ObjectInfo | undefined> {
    return this.#requests.run("read", signal, () => this.#head(name));
  }

  /** Pages of objects in the order of their names' bytes, one request each. */
  async *list({ pageSize, ...query }: ListQuery, signal?: Signal): AsyncGenerator<ListPage, void, undefined> {
    let pageToken: string | undefined;
    do {
      const fields = `items(${infoFields}),prefixes,nextPageToken`;
      const qs = defined({ ...query, maxResults: pageSize, pageToken, fields });
      const { body, headers } = await this.#requests.run("list", signal, () => this.#requests.send({ uri: "/o", qs }));
      const { items, prefixes, nextPageToken } = recordOf(body);
      yield { objects: arrayOf(items).map(infoOf), prefixes: arrayOf(prefixes).map(String), answeredAt: timeOf(headers["date"]) };
      pageToken = typeof nextPageToken === "string" ? nextPageToken : undefined;
    } while (pageToken !== undefined);
  }

  /** Removes exactly this generation. Resolves to `false` when another one is there; what is not there has been removed. */
  remove(name: string, generation: Generation, signal?: Signal): Promise<boolean> {
    return this.#requests.run("remove", signal, async () => {
      try {
        await this.#requests.send({ method: "DELETE", uri: uriOf(name), qs: { ifGenerationMatch: generation } });
        return true;
      } catch (error) {
        if (isMissingObject(error)) return true;
        if (statusOf(error) === 412) return false;
        throw error;
      }
    });
  }

  /**
   * Finds out whether the bucket is there and may be used: lists one object, and asks for the permissions that the store needs.
   *
   * @throws EventDriverError `ERR_STORE_FAILED`, terminal, with what to do
   */
  async check(prefix: string, signal?: Signal): Promise<void> {
    for await (const _page of this.list({ prefix, pageSize: 1 }, signal)) break;
    const answer = await this.#requests.run("read", signal, () => this.#permissions());
    const missing = neededPermissions.filter((permission) => answer !== undefined && !answer.includes(permission));
    if (missing.length === 0) return;
    throw new EventDriverError("ERR_STORE_FAILED", {
      message: `gcsEventStore: on bucket ${JSON.stringify(this.#bucket.name)} this process lacks ${missing.join(", ")}; grant its account roles/storage.objectUser`,
      retryable: false,
    });
  }

  #putRequest({ name, bytes, expected, contentType = "application/octet-stream", token, metadata, customTime }: PutObject): RequestOptions {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const resource = {
      contentType,
      crc32c: checksumOf(content),
      metadata: { ...metadata, ...(token !== undefined && { token, over: expected }) },
      ...(customTime !== undefined && { customTime: new Date(Math.min(Math.max(customTime, 0), latestCustomTime)).toISOString() }),
    };
    const boundary = randomUUID();
    const part = (type: string): string => `--${boundary}\r\nContent-Type: ${type}\r\n\r\n`;
    return {
      method: "POST",
      uri: `${this.#bucket.storage.apiEndpoint}/upload/storage/v1/b/${encodeURIComponent(this.#bucket.name)}/o`,
      qs: { uploadType: "multipart", name, ifGenerationMatch: expected, fields: infoFields },
      headers: { "Content-Type": `multipart/related; boundary=${boundary}` },
      body: Buffer.concat([
        Buffer.from(`${part("application/json; charset=UTF-8")}${JSON.stringify(resource)}\r\n${part(contentType)}`),
        content,
        Buffer.from(`\r\n--${boundary}--`),
      ]),
      // Sent again above, where it is known whether an earlier attempt may have landed: only then does a conflict have to be looked into.
      maxRetries: 0,
    };
  }

  #landed(name: string, generation: Generation): Generation {
    const now = this.#clock.now();
    this.#written.delete(name);
    this.#written.set(name, now);
    for (const [oldest, at] of this.#written) {
      if (now - at < writeInterval && at <= now) break;
      this.#written.delete(oldest);
    }
    return generation;
  }

  /** Milliseconds after which the service takes another write of an object that it has just refused for coming too soon. */
  #untilWritable(name: string, refusals: number): number {
    const jitter = this.#random() * writeInterval;
    if (refusals > 0) return writeInterval * 2 ** Math.min(refusals - 1, 4) + jitter;
    const elapsed = this.#clock.now() - (this.#written.get(name) ?? this.#clock.now());
    return Math.max(writeInterval - elapsed, 0) + jitter / 10;
  }

  /** Does by the client's rules what the client does not do by itself: tries again what has failed for a reason that passes. */
  async #again<Result>(givenUp: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    for (let retries = 0; ; retries += 1) {
      try {
        return await work();
      } catch (error) {
        if (givenUp.aborted || isEventDriverError(error) || !isTransient(error) || retries >= this.#mostRetries()) throw error;
        await sleep(this.#clock, this.#backoff(retries), givenUp);
      }
    }
  }

  #mostRetries(): number {
    const { autoRetry = true, maxRetries = 3 } = this.#bucket.storage.retryOptions;
    return autoRetry ? maxRetries : 0;
  }

  /** The client's own: seconds that grow by a factor, up to a longest one, with up to a second of jitter. */
  #backoff(retries: number): number {
    const { retryDelayMultiplier = 2, maxRetryDelay = 64 } = this.#bucket.storage.retryOptions;
    return Math.min(retryDelayMultiplier ** retries, maxRetryDelay) * 1_000 * (1 - this.#random() / 2);
  }

  /** Resolves to the object's generation when the unclear write has landed, and to `undefined` when another one has for certain. */
  async #readBack(object: PutObject, unclear: unknown): Promise<Generation | undefined> {
    if (object.token === undefined && statusOf(unclear) === 412) return undefined;
    const found = await this.#head(object.name).catch(() => {
      throw unclear;
    });
    if (object.token !== undefined && found?.metadata["token"] === object.token) return this.#landed(object.name, found.generation);
    // Another's that replaced what this one was to replace. Had it replaced something later, that might have been this one.
    if (found?.metadata["over"] === object.expected) return undefined;
    throw lost(this.#bucket.name, object.name, unclear);
  }

  async #head(name: string): Promise<ObjectInfo | undefined> {
    try {
      const { body } = await this.#requests.send({ uri: uriOf(name), qs: { fields: infoFields } });
      return infoOf(body);
    } catch (error) {
      if (isMissingObject(error)) return undefined;
      throw error;
    }
  }

  /** Those of the needed ones that are granted; `undefined` where the service does not tell, as emulators. */
  async #permissions(): Promise<readonly string[] | undefined> {
    try {
      const { body } = await this.#requests.send({ uri: "/iam/testPermissions", qs: { permissions: neededPermissions } });
      return arrayOf(recordOf(body)["permissions"]).map(String);
    } catch (error) {
      if (isMissingObject(error)) return undefined;
      throw error;
    }
  }
}

/** Milliseconds between two writes of one object that the service promises to take. */
const writeInterval = 1_000;

/** The end of the year 9999, the last that RFC 3339 can write. */
const latestCustomTime = 253_402_300_799_999;

const infoFields = "name,generation,timeCreated,updated,metadata";

const neededPermissions = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"] as const;

function uriOf(name: string): string {
  return `/o/${encodeURIComponent(name)}`;
}

function infoOf(resource: unknown): ObjectInfo {
  const { name, generation, timeCreated, updated, metadata } = recordOf(resource);
  return {
    name: String(name),
    generation: String(generation),
    createdAt: timeOf(timeCreated) ?? 0,
    updatedAt: timeOf(updated) ?? 0,
    metadata: Object.fromEntries(Object.entries(recordOf(metadata)).map(([key, value]) => [key, String(value)])),
  };
}

/** Epoch milliseconds of a date in a header or a resource; `undefined` where there is none. */
function timeOf(date: unknown): number | undefined {
  const time = typeof date === "string" ? Date.parse(date) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function lost(bucket: string, name: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `gcsEventStore: whether object ${JSON.stringify(name)} of bucket ${JSON.stringify(bucket)} was written is not known; look it up and decide again`,
    retryable: true,
    cause,
  });
}
