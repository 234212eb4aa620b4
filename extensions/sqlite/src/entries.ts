import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type {
  DueEntry,
  ListDueOptions,
  ListKeysOptions,
  Message,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoredMessage,
} from "event-driver";

import { Buffer } from "node:buffer";
import { types } from "node:util";
import { EventDriverError, RevisionConflictError } from "event-driver";

/** How many revisions are reserved at a time: then most commits need not write the counter too. Those left over at the end are skipped. */
const revisionBlock = 1000;

/** Sorts before every text and blob: where a page begins that comes after nothing. */
const beforeAll = 0;

const written = "revision, stored_at, due_at, expires_at, header, content_is_text, content";
/** What is read of an entry whose key is known, its places in a row below. */
const read = `source, ${written}`;
const column = { source: 0, revision: 1, storedAt: 2, dueAt: 3, expiresAt: 4, header: 5, contentIsText: 6, content: 7 } as const;

// Not numbered (?1): the oldest Node that is supported takes such parameters for names.
const entry = "scope = ? AND key = ? AND source = ?";

/** Every statement on the entries of one open database, prepared once. `scope` is the encoded path of a scope everywhere. */
export class Entries {
  readonly #database: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #beginRead: StatementSync;
  readonly #commit: StatementSync;
  readonly #reserve: StatementSync;
  readonly #upsert: StatementSync;
  readonly #insert: StatementSync;
  readonly #replace: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteRevision: StatementSync;
  readonly #exists: StatementSync;
  readonly #get: StatementSync;
  readonly #getByKey: StatementSync;
  readonly #sources: StatementSync;
  readonly #due: StatementSync;
  readonly #keys: StatementSync;
  readonly #anyExpired: StatementSync;
  readonly #deleteExpired: StatementSync;
  #lastRevision = 0;
  #reservedUpTo = 0;

  constructor(database: DatabaseSync) {
    const insert = `INSERT INTO entries (scope, key, source, ${written}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO`;
    const inserted = written.replaceAll(/\w+/g, "excluded.$&");
    this.#database = database;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#beginRead = database.prepare("BEGIN");
    this.#commit = database.prepare("COMMIT");
    this.#reserve = database.prepare("UPDATE revisions SET reserved = reserved + ? RETURNING reserved");
    this.#insert = database.prepare(`${insert} NOTHING`);
    this.#upsert = database.prepare(`${insert} UPDATE SET (${written}) = (${inserted})`);
    this.#replace = database.prepare(`UPDATE entries SET (${written}) = (?, ?, ?, ?, ?, ?, ?) WHERE ${entry} AND revision = ?`);
    this.#delete = database.prepare(`DELETE FROM entries WHERE ${entry}`);
    this.#deleteRevision = database.prepare(`DELETE FROM entries WHERE ${entry} AND revision = ?`);
    this.#exists = database.prepare(`SELECT 1 FROM entries WHERE ${entry}`);
    this.#get = prepareRows(database, `SELECT ${read} FROM entries WHERE ${entry}`);
    this.#getByKey = prepareRows(database, `SELECT ${read} FROM entries WHERE scope = ? AND key = ?`);
    this.#sources = prepareRows(database, "SELECT source FROM entries WHERE scope = ? AND key = ?");
    this.#due = prepareRows(
      database,
      `SELECT key, source, due_at FROM entries WHERE scope = ? AND due_at <= ? AND (due_at, key, source) > (?, ?, ?)
       ORDER BY due_at, key, source LIMIT ?`,
    );
    this.#keys = prepareRows(database, "SELECT DISTINCT key FROM entries WHERE scope = ? AND key > ? ORDER BY key LIMIT ?");
    this.#anyExpired = database.prepare("SELECT 1 FROM entries WHERE expires_at <= ? LIMIT 1");
    this.#deleteExpired = database.prepare(
      "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
    );
  }

  /** Whether a transaction is open. Some failures make SQLite roll back by itself. */
  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** Takes the write lock, or throws SQLite's busy error at once. */
  begin(): void {
    this.#begin.run();
  }

  commit(): void {
    this.#commit.run();
  }

  rollBack(): void {
    // The reservation may have been undone with the rest.
    this.#reservedUpTo = this.#lastRevision;
    if (this.inTransaction) this.#database.exec("ROLLBACK");
  }

  /** Runs reads on one state of the database. */
  inOneSnapshot(read: () => void): void {
    this.#beginRead.run();
    try {
      read();
    } finally {
      if (this.inTransaction) this.#commit.run();
    }
  }

  persist(scope: string, message: Message, { expected, dueAt, expiresAt }: PersistOptions, now: number): Revision {
    const { content } = message;
    const isText = typeof content === "string";
    if (!isText && !types.isUint8Array(content)) throw notStorable(message.id);
    const key = encodeText(message.key);
    const source = encodeText(message.source);
    const due = timeOrNull("dueAt", dueAt);
    const expires = timeOrNull("expiresAt", expiresAt);
    const header = encodeHeader(message);
    const textFlag = isText ? 1 : 0;
    const body = isText ? encodeText(content) : content;
    const revision = this.#nextRevision();
    if (expected === undefined) this.#upsert.run(scope, key, source, revision, now, due, expires, header, textFlag, body);
    else {
      const { changes } =
        expected === "absent"
          ? this.#insert.run(scope, key, source, revision, now, due, expires, header, textFlag, body)
          : this.#replace.run(revision, now, due, expires, header, textFlag, body, scope, key, source, parseRevision(expected));
      if (changes === 0) throw new RevisionConflictError({ key: message.key, source: message.source, expected });
    }
    return String(revision);
  }

  remove(scope: string, key: string, source: string, { expected }: RemoveOptions): void {
    const at = [scope, encodeText(key), encodeText(source)] as const;
    if (expected === undefined) this.#delete.run(...at);
    else {
      const { changes } = this.#deleteRevision.run(...at, parseRevision(expected));
      if (changes === 0 && this.#exists.get(...at) !== undefined) throw new RevisionConflictError({ key, source, expected });
    }
  }

  lookUp(scope: string, key: string, source: string, now: number): StoredMessage | undefined {
    const row = this.#get.get(scope, encodeText(key), encodeText(source));
    return row === undefined ? undefined : storedMessage(key, row, now);
  }

  lookUpByKey(scope: string, key: string, now: number): readonly StoredMessage[] {
    return this.#getByKey.all(scope, encodeText(key)).map((row) => storedMessage(key, row, now));
  }

  listSourcesByKey(scope: string, key: string): readonly string[] {
    return this.#sources.all(scope, encodeText(key)).map((row) => decodeText(row[0]));
  }

  listDue(scope: string, { before, limit, after }: ListDueOptions): readonly DueEntry[] {
    const from =
      after === undefined
        ? ([-Infinity, beforeAll, beforeAll] as const)
        : ([after.dueAt, encodeText(after.key), encodeText(after.source)] as const);
    return this.#due.all(scope, before, ...from, wholeLimit("listDue", limit)).map((row) => ({
      key: decodeText(row[0]),
      source: decodeText(row[1]),
      dueAt: Number(row[2]),
    }));
  }

  listKeys(scope: string, { limit, after }: ListKeysOptions): readonly string[] {
    const from = after === undefined ? beforeAll : encodeText(after);
    return this.#keys.all(scope, from, wholeLimit("listKeys", limit)).map((row) => decodeText(row[0]));
  }

  hasExpired(now: number): boolean {
    return this.#anyExpired.get(now) !== undefined;
  }

  /** Removes at most `limit` entries of whatever scope, those first whose time is longest over. Returns how many. */
  removeExpired(now: number, limit: number): number {
    return Number(this.#deleteExpired.run(now, limit).changes);
  }

  /** Closes the database. The last of all its users moves the log into the main file; where there is no room for that, the log stays. */
  close(): void {
    this.#database.close();
  }

  #nextRevision(): number {
    if (this.#lastRevision === this.#reservedUpTo) {
      this.#reservedUpTo = Number(this.#reserve.get(revisionBlock)?.["reserved"]);
      this.#lastRevision = this.#reservedUpTo - revisionBlock;
    }
    this.#lastRevision += 1;
    return this.#lastRevision;
  }
}

/** For statements whose rows are read often: as arrays they are made in less time than as objects, for each of which every name is made anew. */
function prepareRows(database: DatabaseSync, query: string): StatementSync {
  const statement = database.prepare(query);
  statement.setReturnArrays(true);
  return statement;
}

/** What is kept of a message beside key, source and content, as JSON. */
interface Header {
  readonly id: string;
  readonly origin?: string;
  readonly type?: string;
  readonly time?: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** JSON escapes what SQLite's text cannot hold, and leaves out what is undefined. */
function encodeHeader({ id, origin, type, time, attributes }: Message): string {
  return JSON.stringify({ id, origin, type, time, attributes });
}

/** Made without the checks of `createMessage`: only what was once a message is ever stored. */
function storedMessage(key: string, row: Record<number, SQLOutputValue>, readAt: number): StoredMessage {
  const { id, origin, type, time, attributes }: Header = JSON.parse(String(row[column.header]));
  const content = row[column.content];
  const dueAt = row[column.dueAt];
  const expiresAt = row[column.expiresAt];
  return {
    message: {
      id,
      key,
      source: decodeText(row[column.source]),
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { type }),
      ...(time !== undefined && { time }),
      content: row[column.contentIsText] === 0 && types.isUint8Array(content) ? content : decodeText(content),
      attributes: Object.assign(Object.create(null), attributes),
    },
    revision: String(row[column.revision]),
    storedAt: Number(row[column.storedAt]),
    readAt,
    ...(dueAt !== null && { dueAt: Number(dueAt) }),
    ...(expiresAt !== null && { expiresAt: Number(expiresAt) }),
  };
}

/**
 * SQLite's text is UTF-8, which has no place for half a surrogate pair, and Node 22 reads it up to the first NUL only: two keys would become
 * one. Such a text is kept as a blob of its UTF-16.
 */
function encodeText(text: string): string | Uint8Array {
  return text.isWellFormed() && !text.includes("\0") ? text : Buffer.from(text, "utf16le");
}

function decodeText(value: SQLOutputValue | undefined): string {
  if (types.isUint8Array(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf16le");
  return String(value);
}

/** A revision that is not one of ours becomes one that no entry has. */
function parseRevision(expected: Revision): number {
  return /^[1-9]\d{0,15}$/.test(expected) ? Number(expected) : -1;
}

function timeOrNull(option: string, time: number | undefined): number | null {
  if (time === undefined) return null;
  if (typeof time !== "number" || Number.isNaN(time)) throw invalid("persist", option, time, "milliseconds since the epoch");
  return time;
}

/** SQLite takes a negative limit for none. */
function wholeLimit(operation: string, limit: number): number {
  if (!Number.isSafeInteger(limit) || limit < 1) throw invalid(operation, "limit", limit, "a whole number from 1");
  return limit;
}

function invalid(operation: string, option: string, given: unknown, allowed: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_OPTION", {
    message: `sqliteEventStore: ${option} of ${operation} is ${String(given)}, allowed is ${allowed}`,
    retryable: false,
  });
}

function notStorable(id: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `sqliteEventStore: the content of message ${JSON.stringify(id)} is neither text nor bytes; encode it before it is stored`,
    retryable: false,
  });
}
