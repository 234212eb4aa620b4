import { DatabaseSync } from "node:sqlite";

import { sqliteEventStore } from "@event-driver/sqlite";

import type { Row } from "./recording-store.ts";

const columns = "scope, key, source, revision, stored_at, due_at, expires_at, header, content_is_text, content";

/** The SQLite store's own table, written by nothing but prepared statements. */
export interface RawSqlite {
  /** All of these in one commit. */
  write(rows: readonly Row[]): void;
  close(): void;
}

export async function openRawSqlite(file: string): Promise<RawSqlite> {
  // The store makes its own schema, indexes included.
  await sqliteEventStore({ file, cleanUpInterval: false }).close();
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = wal; PRAGMA synchronous = full");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const upsert = database.prepare(
    `INSERT INTO entries (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
     (revision, stored_at, due_at, expires_at, header, content_is_text, content) =
     (excluded.revision, excluded.stored_at, excluded.due_at, excluded.expires_at, excluded.header, excluded.content_is_text, excluded.content)`,
  );
  return {
    write(rows) {
      begin.run();
      for (const row of rows) upsert.run(...row);
      commit.run();
    },
    close: () => database.close(),
  };
}
