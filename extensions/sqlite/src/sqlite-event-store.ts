import { type Clock, EventDriverError, type EventStore, type Logger, silentLogger, systemClock } from "event-driver";
import { resolve } from "node:path";

import { openDatabase } from "./database.ts";
import { removeExpiredRegularly } from "./expiry.ts";
import { GroupCommit } from "./group-commit.ts";
import { migrations as released } from "./migrations.ts";

export interface SqliteEventStoreOptions {
  /** Path of the database; it is made where there is none. On a local disk: SQLite's locks do not hold on network file systems. */
  readonly file: string;
  /**
   * How much of the disk a commit waits for. `"full"`: what is acknowledged survives a power failure. `"normal"`: it survives a crash of the
   * process, but a power failure may undo the last commits; about a tenth of the time.
   * @default "full"
   */
  readonly synchronous?: "full" | "normal";
  /**
   * Milliseconds for which an operation tries again while another process holds the lock; then it fails with `ERR_STORE_UNAVAILABLE`.
   * @default 5_000
   */
  readonly busyTimeout?: number;
  /**
   * Milliseconds between two rounds that remove expired entries; `false` leaves them to other processes on the file.
   * @default 60_000
   */
  readonly cleanUpInterval?: number | false;
  /**
   * Where background removal reports that it failed. It is tried again.
   * @default silent
   */
  readonly logger?: Logger;
  /**
   * The store's clock: `storedAt`, `readAt`, and what has expired.
   * @default the machine's
   */
  readonly clock?: Clock;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
}

/**
 * An event store in one SQLite file, shared by all processes of one machine.
 *
 * Use it where one machine is enough: it needs no server and loses nothing that it acknowledged. Every operation is atomic, and operations
 * issued at the same time share one commit. For several machines take a database with a server; for tests, `memoryEventStore`.
 *
 * Operations reject with `ERR_REVISION_CONFLICT`, `ERR_STORE_UNAVAILABLE`, `ERR_STORE_FULL`, `ERR_STORE_CORRUPT`, `ERR_STORE_FAILED`,
 * `ERR_TOO_LARGE` or `ERR_STORE_CLOSED`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_STORE_VERSION`, `ERR_STORE_CORRUPT` or `ERR_STORE_FAILED` when the file must not be used
 * @example
 * const store = sqliteEventStore({ file: "orders.db" });
 * const orders = pipeline().use(joiner({ store, condition: matchAll("event1", "event2") })).use(idempotency({ store }));
 */
export function sqliteEventStore(options: SqliteEventStoreOptions): EventStore {
  return openSqliteEventStore(options, {});
}

/** @internal What tests can change that users cannot. */
export interface Internals {
  readonly migrations?: readonly string[];
  /** Upper bound of the file's size in pages, as if the disk were full. */
  readonly maximumPages?: number;
}

/** @internal */
export function openSqliteEventStore(options: SqliteEventStoreOptions, { migrations = released, maximumPages }: Internals): EventStore {
  const { file, synchronous, busyTimeout, cleanUpInterval, logger, clock, backgroundClock, random } = withDefaults(options);
  const open = () => openDatabase({ file, synchronous, migrations, maximumPages });
  const commits = new GroupCommit({ file, open, busyTimeout, clock, random });
  commits.open();
  const stopRemoving =
    cleanUpInterval === false
      ? () => {}
      : removeExpiredRegularly({ file, commits, clock: backgroundClock, interval: cleanUpInterval, logger });

  return scopedStore(commits, [], async () => {
    stopRemoving();
    await commits.close();
  });
}

function scopedStore(commits: GroupCommit, path: readonly string[], close: () => Promise<void>): EventStore {
  // As JSON, no two paths are the same text, whatever the names contain.
  const scope = JSON.stringify(path);

  return {
    features: { compareAndSet: true, clock: true, cheapReads: true },
    persist: (message, options = {}) => commits.write(options.signal, (entries, now) => entries.persist(scope, message, options, now)),
    lookUp: (key, source, { signal } = {}) => commits.read(signal, (entries, now) => entries.lookUp(scope, key, source, now)),
    lookUpByKey: (key, { signal } = {}) => commits.read(signal, (entries, now) => entries.lookUpByKey(scope, key, now)),
    listSourcesByKey: (key, { signal } = {}) => commits.read(signal, (entries) => entries.listSourcesByKey(scope, key)),
    remove: (key, source, options = {}) => commits.write(options.signal, (entries) => entries.remove(scope, key, source, options)),
    listDue: (options) => commits.read(options.signal, (entries) => entries.listDue(scope, options)),
    listKeys: (options) => commits.read(options.signal, (entries) => entries.listKeys(scope, options)),
    scope: (name) => scopedStore(commits, [...path, name], async () => {}),
    close,
  };
}

interface Settings extends Required<SqliteEventStoreOptions> {
  readonly backgroundClock: Clock;
}

function withDefaults({
  file,
  synchronous = "full",
  busyTimeout = 5_000,
  cleanUpInterval = 60_000,
  logger = silentLogger,
  clock,
  random = Math.random,
}: SqliteEventStoreOptions): Settings {
  if (typeof file !== "string" || file === "" || file === ":memory:" || file.includes("\0"))
    throw invalid("file", file, "the path of a file; for a store without one take memoryEventStore");
  if (synchronous !== "full" && synchronous !== "normal") throw invalid("synchronous", synchronous, '"full" or "normal"');
  if (!(busyTimeout >= 0)) throw invalid("busyTimeout", busyTimeout, "milliseconds from 0");
  if (cleanUpInterval !== false && !(cleanUpInterval > 0))
    throw invalid("cleanUpInterval", cleanUpInterval, "milliseconds above 0, or false");
  return {
    // Resolved now: the process may change its folder before the file is opened.
    file: resolve(file),
    synchronous,
    busyTimeout,
    cleanUpInterval,
    logger,
    clock: clock ?? systemClock,
    backgroundClock: clock ?? unreferencedClock,
    random,
  };
}

/** The machine's clock with timers that do not hold the process open: removal of what nobody needs any more is no reason to go on. */
const unreferencedClock: Clock = {
  now: Date.now,
  after(delay, callback) {
    // A longer delay would fire at once: timers count in a signed 32-bit integer.
    const timer = setTimeout(callback, Math.min(delay, 2 ** 31 - 1)).unref();
    return () => clearTimeout(timer);
  },
};

function invalid(option: string, given: unknown, allowed: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_OPTION", {
    message: `sqliteEventStore: ${option} is ${typeof given === "string" ? JSON.stringify(given) : String(given)}, allowed is ${allowed}`,
    retryable: false,
  });
}
