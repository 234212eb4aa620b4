/** Written into the file's header, so that another application's file is never taken for ours: "evdr" in ASCII. */
export const applicationId = 0x65766472;

/**
 * How the file came to its present schema. The file's version is the number of migrations it has been through; each runs in a transaction of
 * its own. A change of the schema is one more entry at the end: what was released is never edited.
 *
 * Keys and sources are of type ANY because a text that SQLite cannot hold is kept as a blob, see `encodeText`. Times are REAL so that any
 * number comes back as it was given. The table has row ids: without them a group of 64 writes touched more pages and took 1.6 times as long.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE entries (
    scope TEXT NOT NULL,
    key ANY NOT NULL,
    source ANY NOT NULL,
    revision INTEGER NOT NULL,
    stored_at REAL NOT NULL,
    due_at REAL,
    expires_at REAL,
    header TEXT NOT NULL,
    content_is_text INTEGER NOT NULL,
    content ANY NOT NULL,
    UNIQUE (scope, key, source)
  ) STRICT;
  CREATE INDEX entries_due ON entries (scope, due_at, key, source) WHERE due_at IS NOT NULL;
  CREATE INDEX entries_expiring ON entries (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE revisions (reserved INTEGER NOT NULL) STRICT;
  INSERT INTO revisions (reserved) VALUES (0);
  `,
];
