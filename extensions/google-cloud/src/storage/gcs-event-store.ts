import type { StorageOptions } from "@google-cloud/storage";

import { Buffer } from "node:buffer";
import { Storage } from "@google-cloud/storage";
import { type Clock, type EventStore, invalidOption, type Logger, silentLogger, type StoreCallOptions, systemClock } from "event-driver";

import type { Timeouts } from "./requests.ts";

import { Bucket } from "./bucket.ts";
import { Calls } from "./calls.ts";
import { type CompressorOption, Compressors, resolveCompressor } from "./compressor.ts";
import { Entries, type Shared } from "./entries.ts";
import { GoEntries } from "./go-entries.ts";
import { longestFolder } from "./object-names.ts";
import { type ReadPolicy, requireReadPolicy } from "./read-policy.ts";

/** How often, and how soon, the client sends again what has failed for a reason that passes. Its delays are in seconds. */
export type GcsRetryOptions = Pick<
  NonNullable<StorageOptions["retryOptions"]>,
  "autoRetry" | "maxRetries" | "retryDelayMultiplier" | "maxRetryDelay"
>;

export interface GcsEventStoreOptions {
  /** Name of a bucket that exists. */
  readonly bucket: string;
  /**
   * A client of yours, with its own credentials, endpoint and retry options. The store closes nothing of it.
   * @default a new one with the credentials of the process
   */
  readonly storage?: Storage;
  /**
   * Where another service than Google's listens, an emulator for example, as a URL. Requests go there without credentials.
   * @default Google's
   */
  readonly apiEndpoint?: string;
  /** @default the one of the credentials */
  readonly projectId?: string;
  /**
   * What the names of all objects begin with, so that several stores share a bucket: at most 128 bytes.
   * @default none
   */
  readonly folder?: string;
  /**
   * How entries lie in the bucket. `"go"` reads and writes what the Go original does, so that a service moves over while both run. It is for the
   * messages of one joiner, which then needs `claims` elsewhere: it cannot compare and set, keeps no deadlines, and takes no slash inside a key or
   * a source.
   * @default "entries"
   */
  readonly layout?: "entries" | "go";
  /**
   * Which of several contents of one key and source counts, in the layout `"go"` only: give what the Go service has.
   * @default "firstCreated"
   */
  readonly readPolicy?: ReadPolicy;
  /**
   * How content is made smaller: `"none"`, `"gzip"`, `"brotli"`, `"zstd"`, or one of your own. What another of these has stored is read all the
   * same; not so in the layout `"go"`, where it must be the Go service's.
   * @default "none"
   */
  readonly compressor?: CompressorOption;
  /**
   * Bytes that a content may have, decompressed; more is neither written nor read.
   * @default 16_777_216
   */
  readonly maxContentBytes?: number;
  /**
   * Milliseconds for one operation on the bucket, its retries included: one number, or one a kind. What takes longer fails with
   * `ERR_STORE_UNAVAILABLE`.
   * @default 30_000
   */
  readonly timeout?: number | Partial<Timeouts>;
  /**
   * How the client sends again what has failed for a reason that passes.
   * @default the client's: 3 times, after a few seconds
   */
  readonly retry?: GcsRetryOptions;
  /**
   * How many objects one call reads at a time.
   * @default 16
   */
  readonly parallelReads?: number;
  /**
   * Where it reports what it could not clean up.
   * @default silent
   */
  readonly logger?: Logger;
  /**
   * What timeouts and pauses are measured on. `storedAt` and `readAt` come from the service.
   * @default the machine's
   */
  readonly clock?: Clock;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
}

export interface GcsEventStore extends EventStore {
  /**
   * Finds out whether the bucket is there and the process may use it. Call it at start-up: otherwise the first message finds out.
   *
   * @throws EventDriverError `ERR_STORE_FAILED`, terminal, with what to do; `ERR_STORE_UNAVAILABLE`
   */
  check(options?: StoreCallOptions): Promise<void>;
}

/**
 * An event store in a bucket of Google Cloud Storage, shared by all processes that may use it.
 *
 * Use it where nothing runs all the time, as with Cloud Run or Cloud Functions: it needs no server, and costs by the request. The service takes
 * about one write a second of each object, so it is for many keys with a few events each; where one key gets many, take a database.
 *
 * Operations reject with `ERR_REVISION_CONFLICT`, `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FAILED`, `ERR_STORE_CORRUPT`, `ERR_TOO_LARGE`,
 * `ERR_INVALID_MESSAGE` or `ERR_STORE_CLOSED`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const store = gcsEventStore({ bucket: "my-orders", folder: "production" });
 * await store.check();
 * const orders = pipeline().use(joiner({ store, condition: matchAll("event1", "event2") })).use(idempotency({ store }));
 */
export function gcsEventStore(options: GcsEventStoreOptions): GcsEventStore {
  const { bucketName, storage, timeouts, layout, readPolicy, clock, random, ...settings } = withDefaults(options);
  const bucket = new Bucket({ bucket: storage.bucket(bucketName), timeouts, clock, random });
  const calls = new Calls();
  const grace = Math.max(4 * timeouts.write, shortestGrace);
  const shared: Shared = { ...settings, bucket, calls, clock, random, grace, fencedRemovals: !isEmulator(storage) };
  const entries = layout === "go" ? new GoEntries({ ...shared, readPolicy }) : new Entries(shared, []);

  return {
    features: entries.features,
    persist: (message, given) => entries.persist(message, given),
    lookUp: (key, source, given) => entries.lookUp(key, source, given),
    lookUpByKey: (key, given) => entries.lookUpByKey(key, given),
    listSourcesByKey: (key, given) => entries.listSourcesByKey(key, given),
    remove: (key, source, given) => entries.remove(key, source, given),
    listDue: (given) => entries.listDue(given),
    listKeys: (given) => entries.listKeys(given),
    scope: (name) => entries.scope(name),
    check: ({ signal } = {}) => calls.run(signal, () => bucket.check(settings.folder, signal)),
    async close() {
      await calls.close();
      await bucket.settled();
    },
  };
}

/** Whether requests go to a service without credentials, which Google's own would refuse. */
function isEmulator({ customEndpoint, useAuthWithCustomEndpoint = false }: Storage): boolean {
  return customEndpoint && !useAuthWithCustomEndpoint;
}

/** Milliseconds, so many because a process may stand still in the middle of a write, as one does that is given no CPU between requests. */
const shortestGrace = 3_600_000;

const defaultTimeout = 30_000;

interface Settings extends Pick<Shared, "folder" | "compressors" | "objectLimit" | "parallelReads" | "logger" | "clock" | "random"> {
  readonly bucketName: string;
  readonly storage: Storage;
  readonly timeouts: Timeouts;
  readonly layout: "entries" | "go";
  readonly readPolicy: ReadPolicy;
}

function withDefaults(options: GcsEventStoreOptions): Settings {
  const { bucket, folder = "", compressor = "none", maxContentBytes = 2 ** 24, timeout = defaultTimeout, parallelReads = 16 } = options;
  const { layout = "entries", readPolicy, logger = silentLogger, clock = systemClock, random = Math.random } = options;
  if (typeof bucket !== "string" || bucket === "") throw invalid("bucket", bucket, "the name of a bucket");
  if (!Number.isSafeInteger(maxContentBytes) || maxContentBytes < 1) {
    throw invalid("maxContentBytes", maxContentBytes, "a whole number of bytes from 1");
  }
  if (!Number.isSafeInteger(parallelReads) || parallelReads < 1) throw invalid("parallelReads", parallelReads, "a whole number from 1");
  if (layout !== "entries" && layout !== "go") throw invalid("layout", layout, '"entries" or "go"');
  if (readPolicy !== undefined && layout !== "go") throw invalid("readPolicy", readPolicy, 'nothing but with layout "go"');
  return {
    bucketName: bucket,
    storage: resolveStorage(options),
    folder: resolveFolder(folder),
    compressors: new Compressors(resolveCompressor(compressor), maxContentBytes),
    // Room for what is stored beside the content, and for a compressor that makes it larger.
    objectLimit: 2 * maxContentBytes + 2 ** 20,
    timeouts: resolveTimeouts(timeout),
    layout,
    readPolicy: requireReadPolicy(readPolicy ?? "firstCreated"),
    parallelReads,
    logger,
    clock,
    random,
  };
}

function resolveStorage({ storage, apiEndpoint, projectId, retry }: GcsEventStoreOptions): Storage {
  if (storage === undefined) {
    return new Storage({
      ...(apiEndpoint !== undefined && { apiEndpoint: requireUrl(apiEndpoint) }),
      ...(projectId !== undefined && { projectId }),
      ...(retry !== undefined && { retryOptions: { ...retry } }),
    });
  }
  if (typeof storage.bucket !== "function") throw invalid("storage", storage, "a Storage of @google-cloud/storage");
  for (const [option, given] of Object.entries({ apiEndpoint, projectId, retry })) {
    if (given !== undefined) throw invalid(option, given, "nothing beside the option storage; give it to that client");
  }
  return storage;
}

function requireUrl(apiEndpoint: string): string {
  if (/^https?:/.test(apiEndpoint) && URL.canParse(apiEndpoint)) return apiEndpoint;
  throw invalid("apiEndpoint", apiEndpoint, "an http or https URL");
}

function resolveFolder(folder: string): string {
  if (typeof folder !== "string") throw invalid("folder", folder, "text");
  const trimmed = folder.replace(/^\/+|\/+$/g, "");
  const isLegal = trimmed.isWellFormed() && !/\p{Cc}/u.test(trimmed) && !trimmed.split("/").some((part) => part === "." || part === "..");
  if (isLegal && Buffer.byteLength(trimmed) <= longestFolder) return trimmed;
  throw invalid("folder", folder, `at most ${longestFolder} bytes without control characters, and no part of it . or ..`);
}

function resolveTimeouts(timeout: number | Partial<Timeouts>): Timeouts {
  const given = typeof timeout === "number" ? { list: timeout, read: timeout, write: timeout, remove: timeout } : timeout;
  const { list = defaultTimeout, read = defaultTimeout, write = defaultTimeout, remove = defaultTimeout } = given;
  for (const [kind, milliseconds] of Object.entries({ list, read, write, remove })) {
    if (!(milliseconds > 0 && milliseconds < Infinity)) throw invalid(`timeout for ${kind}`, milliseconds, "milliseconds above 0");
  }
  return { list, read, write, remove };
}

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("gcsEventStore", option, given, allowed);
}
