import { Buffer } from "node:buffer";
import { type Bucket as ClientBucket, CRC32C } from "@google-cloud/storage";
import { type Clock, EventDriverError } from "event-driver";

import { isMissingBucket, type OperationKind, statusOf, storeFailure, timedOut } from "./failures.ts";

/** Milliseconds that each kind of operation may take, its retries included. */
export interface Timeouts {
  readonly list: number;
  readonly read: number;
  readonly write: number;
  readonly remove: number;
}

/** What the client takes for one request. */
export type RequestOptions = Parameters<ClientBucket["request"]>[0];

/** What was answered in JSON. */
export interface Answer {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** An object's content, with what the service says of it. */
export interface Download {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Requests on one bucket: bounded in time, given up when a signal aborts, their failures as the store's callers see them. */
export class Requests {
  readonly bucket: ClientBucket;
  readonly #timeouts: Timeouts;
  readonly #clock: Clock;
  readonly #inFlight = new Set<Promise<void>>();

  constructor(bucket: ClientBucket, timeouts: Timeouts, clock: Clock) {
    this.bucket = bucket;
    this.#timeouts = timeouts;
    this.#clock = clock;
  }

  /** Resolves when nothing is on its way any more, writes that were given up included; after the longest timeout at the latest. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  /**
   * Runs an operation until its time is over or the signal aborts. What was sent cannot be taken back; `givenUp` aborts so that no more is.
   *
   * @throws EventDriverError for what the client throws; `signal.reason` as it is
   */
  async run<Result>(
    kind: OperationKind,
    signal: AbortSignal | undefined,
    work: (givenUp: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted();
    const timeout = this.#timeouts[kind];
    const controller = new AbortController();
    const { promise: interruption, reject: interrupt } = Promise.withResolvers<never>();
    const { promise: timeIsOver, resolve: endTime } = Promise.withResolvers<void>();
    const giveUp = (reason: unknown): void => {
      controller.abort(reason);
      interrupt(reason);
      if (kind === "list" || kind === "read") endTime();
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const stopTimer = this.#clock.after(timeout, () => {
      giveUp(timedOut(this.bucket.name, kind, timeout));
      endTime();
    });
    signal?.addEventListener("abort", onAbort, { once: true });

    const working = work(controller.signal);
    this.#track(Promise.race([working.then(stopTimer, stopTimer), timeIsOver]));
    try {
      return await Promise.race([working, interruption]);
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : storeFailure(this.bucket.name, kind, error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** One request that is answered in JSON. Rejects with the client's error. */
  send(options: RequestOptions): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.bucket.request(options, (error, body: unknown, response) => {
        if (error) reject(error);
        else resolve({ body, headers: response?.headers ?? {} });
      });
    });
  }

  /**
   * The content of an object as it is stored, its checksum verified; `undefined` where there is none. Rejects with the client's error, and is not
   * sent again.
   *
   * @throws EventDriverError `ERR_TOO_LARGE`, `ERR_STORE_CORRUPT`
   */
  async download(name: string, limit: number, givenUp: AbortSignal): Promise<Download | undefined> {
    const { status, bytes, headers } = await this.#receive(name, limit, givenUp);
    if (status === 200) {
      if (isDamaged(bytes, headers)) throw damaged(name);
      return { bytes, headers };
    }
    const refusal = Object.assign(new Error(bytes.toString()), { code: status });
    if (isMissingObject(refusal)) return undefined;
    throw refusal;
  }

  #receive(name: string, limit: number, givenUp: AbortSignal): Promise<Download & { readonly status: number }> {
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      let size = 0;
      let response: { readonly statusCode: number; readonly headers: Download["headers"] } = { statusCode: 0, headers: {} };
      const request = { uri: `/o/${encodeURIComponent(name)}`, qs: { alt: "media" }, headers: asStored };
      // The client may neither send a stream again nor have one destroyed before its content comes: it answers with an unhandled rejection.
      const stream = this.bucket.requestStream({ ...request, maxRetries: 0 });
      stream.on("response", (given: typeof response) => {
        response = given;
      });
      stream.on("data", (piece: Buffer) => {
        size += piece.length;
        const isRefusal = response.statusCode !== 200;
        if (givenUp.aborted) stream.destroy(new Error("the download was given up"));
        else if (size <= (isRefusal ? longestRefusal : limit)) pieces.push(piece);
        else if (!isRefusal) stream.destroy(tooLarge(name, limit));
      });
      stream.on("end", () => resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(pieces) }));
      stream.on("error", reject);
    });
  }

  #track(settled: Promise<void>): void {
    const tracked = settled.then(() => void this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }
}

/** Whether the bucket is there, and the object is not. */
export function isMissingObject(error: unknown): boolean {
  return statusOf(error) === 404 && !isMissingBucket(error);
}

/** The checksum of an object's content, as the service writes it. */
export function checksumOf(bytes: Buffer): string {
  const checksum = new CRC32C();
  checksum.update(bytes);
  return checksum.toString();
}

/** Maps items to what `work` resolves to, in their order, with at most so many underway at a time. After a failure no more is begun. */
export async function parallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next]; item !== undefined; item = items[next]) {
      const place = next;
      next += 1;
      results[place] = await work(item);
    }
  };
  const workers = Array.from({ length: Math.min(limit, items.length) }, worker);
  await Promise.all(workers).finally(() => (next = items.length));
  return results;
}

/** Bytes that are kept of what the service says when it refuses. */
const longestRefusal = 8 * 1024;

/** Without this the service decompresses what says of itself that it is compressed. */
const asStored = { "Accept-Encoding": "gzip", "Cache-Control": "no-store" };

/** Whether the content is not what its checksum was made of. One that was compressed or decompressed on its way cannot be told. */
function isDamaged(bytes: Buffer, headers: Download["headers"]): boolean {
  const [, checksum] = /crc32c=([^,\s]+)/.exec(String(headers["x-goog-hash"])) ?? [];
  const encoding = headers["content-encoding"] ?? "identity";
  const isAsStored = encoding === (headers["x-goog-stored-content-encoding"] ?? "identity");
  return checksum !== undefined && isAsStored && checksum !== checksumOf(bytes);
}

function tooLarge(name: string, limit: number): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `gcsEventStore: object ${JSON.stringify(name)} is larger than ${limit} bytes; raise maxContentBytes, or keep such content elsewhere`,
    retryable: false,
  });
}

function damaged(name: string): EventDriverError {
  return new EventDriverError("ERR_STORE_CORRUPT", {
    message: `gcsEventStore: object ${JSON.stringify(name)} did not come as its checksum says; try again, and look at the object if that does not help`,
    retryable: true,
  });
}
