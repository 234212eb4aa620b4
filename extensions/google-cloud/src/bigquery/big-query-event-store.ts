import type {
  Clock,
  EventStore,
  ListDueOptions,
  ListKeysOptions,
  Message,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoreCallOptions,
} from "event-driver";
import type { BigQueryEventStoreOptions, Settings } from "./options.ts";
import type { Row } from "./rows.ts";

import { randomUUID } from "node:crypto";
import { invalidOption, RevisionConflictError } from "event-driver";

import { type CallKind, Calls } from "./calls.ts";
import { storeFailure } from "./failures.ts";
import { Jobs } from "./jobs.ts";
import { settingsOf } from "./options.ts";
import { encodeText, entryParameters, messageParameters, type Parameters, removalParameters, storedMessage, text } from "./rows.ts";
import { type Statements, statementsOn } from "./statements.ts";
import { nameOf, quotedName, requireTable } from "./table.ts";

/** An event store that can be asked at start-up whether it will work. */
export interface BigQueryEventStore extends EventStore {
  /**
   * Finds out whether the dataset and the table are there, with the right columns, and whether this account may read and write them. Costs nothing:
   * BigQuery checks the statements without running them. Makes the table where `createTable` says so.
   *
   * @throws EventDriverError `ERR_STORE_FAILED`, terminal, with what to do; `ERR_STORE_UNAVAILABLE` when BigQuery cannot say now
   */
  check(options?: StoreCallOptions): Promise<void>;
}

/**
 * An event store in a table of BigQuery, to which rows are only ever added.
 *
 * Use it for what is read by SQL later: an audit copy by `replicated`, look-ups of the past, joins whose `claims` are in another store. A call takes
 * seconds and is billed, and BigQuery does not decide between writers, so `compareAndSet` is false: `idempotency` and `joiner` refuse it for their claims.
 *
 * Operations reject with `ERR_STORE_FAILED`, `ERR_STORE_UNAVAILABLE`, `ERR_TOO_LARGE` or `ERR_STORE_CLOSED`. `expected` is looked at, but not among
 * concurrent writers.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const store = bigQueryEventStore({ dataset: "orders", table: "events", createTable: true });
 * await store.check();
 */
export function bigQueryEventStore(options: BigQueryEventStoreOptions): BigQueryEventStore {
  const settings = settingsOf(options);
  const table = new EventTable(settings);

  return {
    ...scopedStore(table, []),
    check: ({ signal } = {}) => table.check(signal),
    close: () => table.close(),
  };
}

function scopedStore(table: EventTable, path: readonly string[]): EventStore {
  // As JSON, no two paths are the same text, whatever the names contain.
  const scope = JSON.stringify(path);

  return {
    features: { compareAndSet: false, clock: true },
    persist: (message, options = {}) => table.persist(scope, message, options),
    lookUp: async (key, source, { signal } = {}) => {
      const [row] = await table.read("lookUp", entryParameters(scope, key, source), signal);
      return row && storedMessage(key, row);
    },
    lookUpByKey: async (key, { signal } = {}) => {
      const rows = await table.read("lookUpByKey", keyParameters(scope, key), signal);
      return rows.map((row) => storedMessage(key, row));
    },
    listSourcesByKey: async (key, { signal } = {}) => {
      const rows = await table.read("listSourcesByKey", keyParameters(scope, key), signal);
      return rows.map((row) => text(row["source"]));
    },
    remove: (key, source, options = {}) => table.remove(scope, key, source, options),
    listDue: async (options) => {
      const rows = await table.read("listDue", dueParameters(scope, options), options.signal);
      return rows.map((row) => ({ key: text(row["key"]), source: text(row["source"]), dueAt: Number(row["due_at"]) }));
    },
    listKeys: async (options) => {
      const rows = await table.read("listKeys", keysParameters(scope, options), options.signal);
      return rows.map((row) => text(row["key"]));
    },
    scope: (name) => scopedStore(table, [...path, name]),
    close: async () => {},
  };
}

type Reading = "listDue" | "listKeys" | "listSourcesByKey" | "lookUp" | "lookUpByKey";

/** What all scopes of one store share: the table, and the calls that are made on it. */
class EventTable {
  readonly #settings: Settings;
  readonly #name: string;
  readonly #statements: Statements;
  readonly #jobs: Jobs;
  readonly #calls: Calls;
  readonly #nextRevision: () => Revision;
  /** Settles when the table is there. Asked once, and only where it may have to be made. */
  #made: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#name = nameOf(settings.table);
    this.#statements = statementsOn(quotedName(settings.table), settings.readPolicy);
    this.#jobs = new Jobs(settings.client, settings);
    this.#calls = new Calls(settings.clock, settings.limits);
    this.#nextRevision = revisionsOn(settings.clock);
  }

  async persist(scope: string, message: Message, { expected, signal, dueAt, expiresAt }: PersistOptions): Promise<Revision> {
    const { key, source } = message;
    const { insert, insertIfAbsent, insertOver } = this.#statements;
    const id = this.#nextRevision();
    const row = messageParameters(scope, message, id, { dueAt: timeOrNull("dueAt", dueAt), expiresAt: timeOrNull("expiresAt", expiresAt) });
    return this.#call("persist", "write", signal, async (running) => {
      const job = { id, kind: "write", parameters: row, signal: running } as const;
      if (expected === undefined) {
        await this.#jobs.rows({ ...job, query: insert });
        return id;
      }
      const inserted =
        expected === "absent"
          ? await this.#jobs.inserted({ ...job, query: insertIfAbsent })
          : await this.#jobs.inserted({ ...job, query: insertOver, parameters: { ...row, expected: encodeText(expected) } });
      if (inserted === 0) throw new RevisionConflictError({ key, source, expected });
      return id;
    });
  }

  async remove(scope: string, key: string, source: string, { expected, signal }: RemoveOptions): Promise<void> {
    const { insert, insertOver, lookUp } = this.#statements;
    const id = this.#nextRevision();
    const row = removalParameters(scope, key, source, id);
    return this.#call("remove", "remove", signal, async (running) => {
      const job = { id, kind: "remove", parameters: row, signal: running } as const;
      if (expected === undefined) {
        await this.#jobs.rows({ ...job, query: insert });
        return;
      }
      if ((await this.#jobs.inserted({ ...job, query: insertOver, parameters: { ...row, expected: encodeText(expected) } })) > 0) return;
      const entry = { ...job, id: this.#nextRevision(), parameters: entryParameters(scope, key, source) };
      const left = await this.#jobs.rows({ ...entry, query: lookUp });
      if (left.length > 0) throw new RevisionConflictError({ key, source, expected });
    });
  }

  async read(reading: Reading, parameters: Parameters, signal: AbortSignal | undefined): Promise<readonly Row[]> {
    const kind = reading.startsWith("list") ? "list" : "read";
    const query = this.#statements[reading];
    const id = this.#nextRevision();
    return this.#call(reading, kind, signal, (running) => this.#jobs.rows({ id, kind, query, parameters, signal: running }));
  }

  check(signal: AbortSignal | undefined): Promise<void> {
    const { insert, lookUp } = this.#statements;
    const { client, table } = this.#settings;
    return this.#call("check", "read", signal, async (running) => {
      // Where it may be made, that has been seen to by now.
      if (table.create === undefined) await requireTable(client, table);
      const id = this.#nextRevision();
      const job = { id, kind: "read", signal: running } as const;
      await this.#jobs.dryRun({ ...job, query: lookUp, parameters: entryParameters("[]", "", "") });
      await this.#jobs.dryRun({ ...job, query: insert, parameters: removalParameters("[]", "", "", id) });
    });
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  #call<Result>(
    operation: string,
    kind: CallKind,
    signal: AbortSignal | undefined,
    work: (running: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return this.#calls.run(kind, signal, async (running) => {
      try {
        await this.#madeTable();
        running.throwIfAborted();
        return await work(running);
      } catch (error) {
        throw storeFailure(operation, this.#name, error);
      }
    });
  }

  /** Where the table must exist, nothing is asked: the first statement finds out. */
  async #madeTable(): Promise<void> {
    const { client, table } = this.#settings;
    if (table.create === undefined) return;
    this.#made ??= requireTable(client, table);
    try {
      await this.#made;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }
}

function keyParameters(scope: string, key: string): Parameters {
  return { scope: encodeText(scope), key: encodeText(key) };
}

function dueParameters(scope: string, { before, limit, after }: ListDueOptions): Parameters {
  if (typeof before !== "number" || Number.isNaN(before))
    throw invalidOption("bigQueryEventStore", "before of listDue", before, "epoch milliseconds");
  return {
    scope: encodeText(scope),
    // JSON has no infinity.
    before: Math.max(-Number.MAX_VALUE, Math.min(before, Number.MAX_VALUE)),
    limit: wholeLimit("listDue", limit),
    after_due: after === undefined ? null : after.dueAt,
    after_key: after === undefined ? null : encodeText(after.key),
    after_source: after === undefined ? null : encodeText(after.source),
  };
}

function keysParameters(scope: string, { limit, after }: ListKeysOptions): Parameters {
  return { scope: encodeText(scope), limit: wholeLimit("listKeys", limit), after: after === undefined ? null : encodeText(after) };
}

function wholeLimit(operation: string, limit: number): number {
  if (Number.isSafeInteger(limit) && limit >= 1) return limit;
  throw invalidOption("bigQueryEventStore", `limit of ${operation}`, limit, "a whole number from 1");
}

function timeOrNull(option: string, time: number | undefined): number | null {
  if (time === undefined || Number.isFinite(time)) return time ?? null;
  throw invalidOption("bigQueryEventStore", `${option} of persist`, time, "epoch milliseconds");
}

/**
 * Revisions that nobody can guess and none that repeats. Those of one store rise, so that rows which BigQuery stamps with the same microsecond are
 * still in the order they were written in.
 */
function revisionsOn(clock: Clock): () => Revision {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Math.floor(clock.now() * 1_000));
    return `${String(last).padStart(17, "0")}-${randomUUID()}`;
  };
}
