import { accessSync, constants, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";

import { failure, isCorrupt, isNotADatabase, refused } from "./failures.ts";
import { applicationId } from "./migrations.ts";

export interface DatabaseSettings {
  /** Absolute path. */
  readonly file: string;
  readonly synchronous: "full" | "normal";
  readonly migrations: readonly string[];
  /** Upper bound of the file's size in pages, for tests of a full disk. */
  readonly maximumPages?: number | undefined;
}

/**
 * Opens the file, creates or migrates it, and switches it to write-ahead logging.
 *
 * It waits for no lock: when another process holds one, it throws SQLite's own busy error, and can be called again.
 *
 * @throws EventDriverError `ERR_STORE_VERSION`, `ERR_STORE_CORRUPT` or `ERR_STORE_FAILED` when the file must not be used; it is left as it was
 */
export function openDatabase({ file, synchronous, migrations, maximumPages }: DatabaseSettings): DatabaseSync {
  refuseUnwritable(file);
  refuseForeign(file, migrations.length);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    // Without fullfsync, macOS leaves what was synced in the drive's cache. Elsewhere it changes nothing.
    database.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA fullfsync = ${synchronous === "full" ? "on" : "off"}`);
    if (maximumPages !== undefined) database.exec(`PRAGMA max_page_count = ${maximumPages}`);
    // A new file gets its first schema before it gets a log, so that the header of the main file names us from the first byte on.
    migrate(database, file, migrations);
    useWriteAheadLog(database, file);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Milliseconds between two checks of every file where nothing calls for one sooner. */
const fullCheckInterval = 100;

/** Milliseconds, more than a file system's clock needs for a tick: a folder that changed so lately may change again and show the same time. */
const recently = 50;

/**
 * The files that a connection works on, as they were when it was opened.
 *
 * A file that is moved or deleted while it is open stays usable for who holds it, and what is written there is lost. The log and its index
 * count too: commits go to the log, and processes with different indexes do not see each other's locks.
 *
 * Looking at the log between any two commits made them a third slower (Linux then has to give each write a time stamp of its own), but no
 * file can go without a trace in the folder. So mostly only the folder is looked at: a system call costs several microseconds after the
 * processor has waited for the disk.
 */
export class OpenFiles {
  readonly #file: string;
  readonly #folder: string;
  readonly #identities: readonly (readonly [path: string, identity: string])[];
  #unchanged: Stats | undefined;
  #checkedAt = -Infinity;

  constructor(file: string) {
    this.#file = file;
    this.#folder = dirname(file);
    this.#identities = [file, `${file}-wal`, `${file}-shm`].map((path) => [path, identityOf(path)] as const);
  }

  /** @throws EventDriverError `ERR_STORE_FAILED` when one of them is no longer at its path */
  verify(now: number): void {
    const folder = statSync(this.#folder, { throwIfNoEntry: false });
    if (isSameState(folder, this.#unchanged) && Math.abs(now - this.#checkedAt) < fullCheckInterval) return;
    for (const [path, identity] of this.#identities) {
      if (identityOf(path) !== identity) throw this.#moved(path);
    }
    this.#unchanged = folder === undefined || Math.abs(Date.now() - folder.ctimeMs) < recently ? undefined : folder;
    this.#checkedAt = now;
  }

  /** The same, but only every 100 milliseconds: for reads, which cost little more than the check. */
  verifyNowAndThen(now: number): void {
    if (Math.abs(now - this.#checkedAt) >= fullCheckInterval) this.verify(now);
  }

  #moved(path: string): Error {
    this.#checkedAt = -Infinity;
    return failure(
      "ERR_STORE_FAILED",
      this.#file,
      `is no longer what was opened: ${JSON.stringify(path)} was moved, replaced or deleted; put it back, or restart to begin with what is there now`,
    );
  }
}

/** The time of the change is compared too, for nobody can set that one back. */
function isSameState(now: Stats | undefined, before: Stats | undefined): boolean {
  if (now === undefined || before === undefined) return false;
  return now.mtimeMs === before.mtimeMs && now.ctimeMs === before.ctimeMs && now.ino === before.ino && now.dev === before.dev;
}

function identityOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? "absent" : `${stats.dev}:${stats.ino}`;
}

/** SQLite opens a file that it may not write for reading only, and would say so at the first write. */
function refuseUnwritable(file: string): void {
  const present = statSync(file, { throwIfNoEntry: false });
  if (present !== undefined && !present.isFile())
    throw refused("ERR_STORE_FAILED", file, "is not a file; name one, or a path where one can be made");
  try {
    accessSync(dirname(file), constants.R_OK | constants.W_OK);
    if (present !== undefined) accessSync(file, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw refused("ERR_STORE_FAILED", file, "cannot be written: it and its folder must exist and be writable by this process", cause);
  }
}

/**
 * Looks at a file before it is opened for writing, which alone would already put a log beside it.
 *
 * It is read through SQLite and not through `node:fs`: closing any descriptor of a file drops all locks that this process holds on it, those
 * of another store on the same file too, unless SQLite does it.
 */
function refuseForeign(file: string, newest: number): void {
  if (sizeOf(file) === 0) return;
  const mainFileOnly = pathToFileURL(file);
  mainFileOnly.search = "immutable=1";
  try {
    refuseHeader(mainFileOnly, file, newest);
  } catch (error) {
    // Read without locks, a file may look torn while another process writes to it. If it is damaged, opening it says so.
    if (!isCorrupt(error)) throw error;
  }
  // A newer version may so far stand in the log alone. With a log there, a reader creates nothing that was not there before.
  if (sizeOf(`${file}-wal`) > 0) refuseHeader(file, file, newest);
}

function refuseHeader(location: string | URL, file: string, newest: number): void {
  const reader = new DatabaseSync(location, { readOnly: true, timeout: 0 });
  try {
    if (pragma(reader, "application_id") !== applicationId) throw foreign(file);
    if (pragma(reader, "user_version") > newest) throw newer(file, pragma(reader, "user_version"), newest);
  } catch (error) {
    if (!isNotADatabase(error)) throw error;
    throw refused("ERR_STORE_CORRUPT", file, "is not an SQLite database; name another file, this one was left as it is", error);
  } finally {
    reader.close();
  }
}

function migrate(database: DatabaseSync, file: string, migrations: readonly string[]): void {
  while (pragma(database, "user_version") !== migrations.length) {
    database.exec("BEGIN IMMEDIATE");
    try {
      const version = pragma(database, "user_version");
      const isNew = version === 0 && pragma(database, "application_id") === 0 && pragma(database, "schema_version") === 0;
      if (!isNew && pragma(database, "application_id") !== applicationId) throw foreign(file);
      if (version > migrations.length) throw newer(file, version, migrations.length);
      // Another process may have been faster; then there is nothing left to do.
      const migration = migrations[version];
      if (migration !== undefined) {
        database.exec(`${migration}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version + 1}`);
      }
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}

function useWriteAheadLog(database: DatabaseSync, file: string): void {
  const mode = database.prepare("PRAGMA journal_mode = wal").get()?.["journal_mode"];
  if (mode !== "wal") {
    throw refused(
      "ERR_STORE_FAILED",
      file,
      `lies on a file system without write-ahead logging (journal mode ${String(mode)}); use a local disk`,
    );
  }
  // The log and its index are made by the first read.
  pragma(database, "user_version");
}

function pragma(database: DatabaseSync, name: "application_id" | "schema_version" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function foreign(file: string): Error {
  return refused("ERR_STORE_VERSION", file, "is the database of another application; name another file, this one was left as it is");
}

function newer(file: string, found: number, newest: number): Error {
  const why = `is of schema version ${found}, this package knows up to ${newest}; upgrade @event-driver/sqlite, the file was left as it is`;
  return refused("ERR_STORE_VERSION", file, why);
}
