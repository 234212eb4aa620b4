import { columns } from "./table.ts";

/**
 * Which row of a key and source counts, of those since the last removal.
 *
 * - `lastCreated`: the newest, so that a later `persist` replaces what an earlier one stored.
 * - `firstCreated`: the oldest; a later `persist` is kept in the table, and read by nobody.
 */
export type ReadPolicy = "firstCreated" | "lastCreated";

/** The types of all parameters, for null has none of its own. */
export const parameterTypes: Readonly<Record<string, string>> = {
  ...Object.fromEntries(columns.filter(({ name }) => name !== "stored_at").map(({ name, type }) => [name, type])),
  content_bytes: "STRING",
  expected: "STRING",
  before: "FLOAT64",
  after: "STRING",
  after_due: "FLOAT64",
  after_key: "STRING",
  after_source: "STRING",
  limit: "INT64",
};

/** Every statement on one table; what varies from call to call is a parameter. */
export interface Statements {
  readonly insert: string;
  /** Inserts only where nothing is stored. Two at the same time may both insert. */
  readonly insertIfAbsent: string;
  /** Inserts only over the revision `expected`. Two at the same time may both insert. */
  readonly insertOver: string;
  readonly lookUp: string;
  readonly lookUpByKey: string;
  readonly listSourcesByKey: string;
  readonly listDue: string;
  readonly listKeys: string;
}

/** Columns whose value is not just a parameter. */
const computed: Readonly<Record<string, string>> = {
  // The statement that inserts reads the clock, so that rows are in the order of BigQuery's clock, whoever writes them.
  stored_at: "CURRENT_TIMESTAMP()",
  // Bytes travel as text: what the client sends of a Buffer is not base64, which BigQuery expects of a parameter of bytes.
  content_bytes: "FROM_BASE64(@content_bytes)",
};

const entry = "scope = @scope AND key = @key AND source = @source";
const written = columns.map(({ name }) => name).join(", ");
const values = columns.map(({ name }) => computed[name] ?? `@${name}`).join(", ");
const read = [
  "source, id, origin, type, time, content, content_bytes, attributes, revision, due_at, expires_at",
  "UNIX_MICROS(stored_at) AS stored_micros, UNIX_MICROS(CURRENT_TIMESTAMP()) AS read_micros",
].join(", ");

/** `table` is a quoted name. One level each: what BigQuery reads and a person understands at once. */
export function statementsOn(table: string, policy: ReadPolicy): Statements {
  const select = (selected: string, where: string): string => `SELECT ${selected} FROM ${table} WHERE ${where} QUALIFY ${counts[policy]}`;
  const insertWhere = (condition: string): string =>
    `INSERT INTO ${table} (${written}) SELECT ${values} FROM (SELECT 1) WHERE ${condition}`;

  return {
    insert: `INSERT INTO ${table} (${written}) VALUES (${values})`,
    insertIfAbsent: insertWhere(`NOT EXISTS (${select("1", entry)})`),
    insertOver: insertWhere(`EXISTS (${select("1", entry)} AND revision = @expected)`),
    lookUp: select(read, entry),
    lookUpByKey: select(read, "scope = @scope AND key = @key"),
    listSourcesByKey: select("source", "scope = @scope AND key = @key"),
    listDue: `${select("key, source, due_at", "scope = @scope")} AND due_at <= @before AND ${afterDue} ORDER BY due_at, key, source LIMIT @limit`,
    listKeys: `${select("DISTINCT key", "scope = @scope AND (@after IS NULL OR key > @after)")} ORDER BY key LIMIT @limit`,
  };
}

const afterDue =
  "(@after_due IS NULL OR due_at > @after_due OR (due_at = @after_due AND (key > @after_key OR (key = @after_key AND source > @after_source))))";

const oldestFirst = "PARTITION BY key, source ORDER BY stored_at, revision";
const newestFirst = "PARTITION BY key, source ORDER BY stored_at DESC, revision DESC";

/** Whether a row is the one of its entry that counts. A removal hides all rows before it, and counts for nothing itself. */
const counts: Readonly<Record<ReadPolicy, string>> = {
  lastCreated: `ROW_NUMBER() OVER (${newestFirst}) = 1 AND NOT deleted`,
  // No removal since, and none but a removal before.
  firstCreated: `MAX(IF(deleted, 1, 0)) OVER (${newestFirst} ROWS UNBOUNDED PRECEDING) = 0 AND IFNULL(LAG(deleted) OVER (${oldestFirst}), TRUE)`,
};
