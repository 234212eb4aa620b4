import type { NatsConnection } from "@nats-io/transport-node";

import { jetstreamManager } from "@nats-io/jetstream";
import { type Clock, type EventStore, invalidOption, type Logger, silentLogger, systemClock } from "event-driver";

import { endpointsOf, type NatsServerOptions, requireDuration } from "../endpoints.ts";
import { linkOver, openLink } from "../link.ts";
import { Bucket } from "./bucket.ts";
import { Calls } from "./calls.ts";
import { KvEntries } from "./kv-entries.ts";

export interface NatsKvEventStoreOptions extends Partial<NatsServerOptions> {
  /**
   * A client of yours, which the store does not close, instead of `url`. It should come back for ever.
   * @default one of its own
   */
  readonly connection?: NatsConnection;
  /** Name of the bucket: letters, digits, `_` and `-`. Nothing else may write into it. */
  readonly bucket: string;
  /**
   * Whether a bucket that is missing is made, or is an error.
   * @default "create"
   */
  readonly topology?: "create" | "check";
  /**
   * How many servers of a cluster keep each entry: 1, 3 or 5.
   * @default 1
   */
  readonly replicas?: number;
  /** @default "file" */
  readonly storage?: "file" | "memory";
  /**
   * Milliseconds for one write, and for how long one waits for the broker to come back.
   * @default 10_000
   */
  readonly timeout?: number;
  /**
   * Milliseconds for which an entry stays beyond its `expiresAt`: more than the clocks of your machines differ by.
   * @default 60_000
   */
  readonly grace?: number;
  /**
   * How many entries one call reads at a time.
   * @default 64
   */
  readonly parallelReads?: number;
  /** @default silent */
  readonly logger?: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * An event store in a bucket of NATS KV, shared by all processes that may use it.
 *
 * Use it where NATS is there anyway: for joins and idempotency of streams that come from it. It has no clock of its own, so leases are read on the machines'.
 * Resolves when the bucket is there.
 *
 * Operations reject with `ERR_REVISION_CONFLICT`, `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FAILED`, `ERR_STORE_CORRUPT`, `ERR_TOO_LARGE`, `ERR_INVALID_MESSAGE` or
 * `ERR_STORE_CLOSED`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, `ERR_CONNECTION_FAILED`, `ERR_UNSUPPORTED`, `ERR_STORE_FAILED`, `ERR_STORE_UNAVAILABLE`
 * @example
 * const store = await natsKvEventStore({ url: "nats://localhost:4222", bucket: "orders" });
 * const orders = pipeline().use(joiner({ store, condition: matchAll("event1", "event2") })).use(idempotency({ store }));
 */
export async function natsKvEventStore(options: NatsKvEventStoreOptions): Promise<EventStore> {
  const { logger = silentLogger, clock = systemClock, connection, url = connection?.getServer() } = options;
  const { name, timeout, grace, parallelReads, ...settings } = withDefaults(options);
  if (url === undefined) throw invalid("url", url, "where NATS is, unless a connection is given");
  const endpoints = endpointsOf("natsKvEventStore", { ...options, url });
  const linkOptions = { ...endpoints, clock, logger };
  const link = connection === undefined ? await openLink(linkOptions) : linkOver(connection, linkOptions);
  try {
    const manager = await jetstreamManager(link.client, { apiPrefix: endpoints.apiPrefix, checkAPI: false, timeout });
    const bucket = new Bucket({ ...settings, link, manager, name, timeout, clock, logger });
    const calls = new Calls();
    await bucket.ensure();
    return Object.assign(new KvEntries({ bucket, bucketName: name, grace, parallelReads, clock, calls }, []), {
      async close() {
        await calls.close();
        bucket.close();
        await link.close();
      },
    });
  } catch (error) {
    await link.close();
    throw error;
  }
}

type Settings = Required<Pick<NatsKvEventStoreOptions, "topology" | "replicas" | "storage" | "timeout" | "grace" | "parallelReads">>;

function withDefaults(options: NatsKvEventStoreOptions): Settings & { readonly name: string } {
  const {
    bucket: name,
    topology = "create",
    replicas = 1,
    storage = "file",
    timeout = 10_000,
    grace = 60_000,
    parallelReads = 64,
  } = options;
  if (typeof name !== "string" || !/^[\w-]{1,200}$/.test(name)) throw invalid("bucket", name, "letters, digits, _ and -, up to 200");
  if (topology !== "create" && topology !== "check") throw invalid("topology", topology, '"create" or "check"');
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5) throw invalid("replicas", replicas, "a whole number from 1 to 5");
  if (storage !== "file" && storage !== "memory") throw invalid("storage", storage, '"file" or "memory"');
  requireDuration("natsKvEventStore", "timeout", timeout);
  if (!(grace >= 0 && grace < Infinity)) throw invalid("grace", grace, "milliseconds from 0");
  if (!Number.isSafeInteger(parallelReads) || parallelReads < 1) throw invalid("parallelReads", parallelReads, "a whole number from 1");
  return { name, topology, replicas, storage, timeout, grace, parallelReads };
}

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("natsKvEventStore", option, given, allowed);
}
