import type { VirtualClock } from "event-driver/testing";

import { randomUUID } from "node:crypto";
import { Bucket as ClientBucket, Storage } from "@google-cloud/storage";
import { type Clock, sleep, systemClock } from "event-driver";

import { services } from "../../../../test/services.ts";
import { Bucket } from "../../src/storage/bucket.ts";

/** How a test reaches the emulated service. */
export interface Access {
  /**
   * Where the service, or a proxy in front of it, listens.
   * @default services.gcs.url
   */
  readonly apiEndpoint?: string;
  /**
   * Whether the client sends again what has failed.
   * @default true
   */
  readonly autoRetry?: boolean;
  /** @default hurried */
  readonly clock?: Clock;
  /**
   * Milliseconds that any operation may take, on `clock`.
   * @default 30_000
   */
  readonly timeout?: number;
}

/** The client, as the store makes it for itself. */
export function storageOn({ apiEndpoint = services.gcs.url, autoRetry = true }: Access = {}): Storage {
  return new Storage({ projectId: "test", apiEndpoint, retryOptions: { autoRetry, maxRetryDelay: 0.05 } });
}

/** A bucket that nobody else uses. */
export async function newBucket(): Promise<string> {
  const name = `test-${randomUUID()}`;
  await storageOn().createBucket(name);
  return name;
}

/** What the store sees of a bucket. */
export function bucketOn(name: string, access: Access = {}): Bucket {
  const { clock = hurried, timeout = 30_000 } = access;
  const timeouts = { list: timeout, read: timeout, write: timeout, remove: timeout };
  return new Bucket({ bucket: new ClientBucket(storageOn(access), name), timeouts, clock, random: Math.random });
}

/** The machine's clock with pauses a fiftieth as long, except those of timeouts: what is retried in seconds is retried at once. */
export const hurried: Clock = {
  now: () => systemClock.now(),
  after: (delay, callback) => systemClock.after(delay >= 10_000 ? delay : delay / 50, callback),
};

/** Moves the clock on in small steps, with time for the answers of real requests between them. */
export async function advanceUntil(clock: VirtualClock, done: Promise<unknown>): Promise<void> {
  let isDone = false;
  const watched = done.finally(() => (isDone = true));
  while (!isDone) {
    await sleep(systemClock, 2);
    await clock.advance(10);
  }
  await watched;
}
