import type { BigQuery, Table, TableMetadata } from "@google-cloud/bigquery";

import { EventDriverError } from "event-driver";

import { isDuplicate, isNotFound } from "./failures.ts";

interface Column {
  readonly name: string;
  readonly type: "BOOL" | "BYTES" | "FLOAT64" | "STRING" | "TIMESTAMP";
  readonly mode: "NULLABLE" | "REQUIRED";
  readonly description: string;
}

/** The table's columns. Rows are only ever added: the newest of a scope, key and source is what is stored there. */
export const columns: readonly Column[] = [
  required("scope", "STRING", "JSON array of the names of nested scopes, outermost first"),
  required("key", "STRING", "What the message is joined and ordered by"),
  required("source", "STRING", "Short name of where the message came from"),
  optional("id", "STRING", "Unique within its origin"),
  optional("origin", "STRING", "CloudEvents source, where it says more"),
  optional("type", "STRING", "What happened"),
  optional("time", "STRING", "When it happened, as it came"),
  optional("content", "STRING", "Content that is text"),
  optional("content_bytes", "BYTES", "Content that is bytes"),
  optional("attributes", "STRING", "JSON object of strings"),
  required("stored_at", "TIMESTAMP", "When the row was written, on BigQuery's clock"),
  required("revision", "STRING", "Unique; decides between rows of one stored_at"),
  required("deleted", "BOOL", "Whether the row says that the entry was removed"),
  optional("due_at", "FLOAT64", "Epoch milliseconds"),
  optional("expires_at", "FLOAT64", "Epoch milliseconds"),
];

export interface CreateTableOptions {
  /**
   * Said of the table in the console.
   * @default a sentence that names this package
   */
  readonly description?: string;
  /**
   * How much time one partition holds. A table has at most 10,000 of them.
   * @default "DAY"
   */
  readonly partitionBy?: "HOUR" | "DAY" | "MONTH" | "YEAR";
}

export interface TableSettings {
  readonly dataset: string;
  readonly table: string;
  /** The project of the dataset, where it is not the client's. */
  readonly projectId: string | undefined;
  /** `undefined` where the table must exist. */
  readonly create: CreateTableOptions | undefined;
  /** Milliseconds. */
  readonly partitionExpiration: number | undefined;
}

/** The table as it is written in SQL. Its parts were checked against an allow-list, which has no backtick. */
export function quotedName({ projectId, dataset, table }: TableSettings): string {
  return `\`${projectId === undefined ? "" : `${projectId}.`}${dataset}.${table}\``;
}

/** The table as it is named in errors. */
export function nameOf({ projectId, dataset, table }: TableSettings): string {
  return `${projectId === undefined ? "" : `${projectId}.`}${dataset}.${table}`;
}

/**
 * Makes the table where it is missing and may be made.
 *
 * @throws EventDriverError `ERR_STORE_FAILED`, terminal, when the table, or the dataset it would be made in, does not exist
 */
export async function requireTable(client: BigQuery, settings: TableSettings): Promise<void> {
  const dataset = client.dataset(settings.dataset, settings.projectId === undefined ? {} : { projectId: settings.projectId });
  const table = dataset.table(settings.table);
  if (await exists(table)) return;
  if (!(await exists(dataset))) {
    throw missing(
      `dataset ${settings.dataset} does not exist; create it in the location where the data shall be: bq mk --dataset ${settings.dataset}`,
    );
  }
  if (settings.create === undefined) {
    throw missing(`table ${nameOf(settings)} does not exist; create it, or give the store createTable: true`);
  }
  try {
    await dataset.createTable(settings.table, tableMetadata(settings.create, settings.partitionExpiration));
  } catch (error) {
    // Another process was faster, with the same columns.
    if (!isDuplicate(error)) throw error;
  }
}

function tableMetadata(
  { description = "Messages of event-driver, one row a write", partitionBy = "DAY" }: CreateTableOptions,
  partitionExpiration: number | undefined,
): TableMetadata {
  return {
    description,
    schema: { fields: columns.map((column) => ({ ...column })) },
    timePartitioning: {
      type: partitionBy,
      field: "stored_at",
      ...(partitionExpiration !== undefined && { expirationMs: String(partitionExpiration) }),
    },
    clustering: { fields: ["scope", "key", "source"] },
  };
}

async function exists(resource: Pick<Table, "getMetadata">): Promise<boolean> {
  try {
    await resource.getMetadata();
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function missing(what: string): EventDriverError {
  return new EventDriverError("ERR_STORE_FAILED", { message: `bigQueryEventStore: ${what}`, retryable: false });
}

function required(name: string, type: Column["type"], description: string): Column {
  return { name, type, mode: "REQUIRED", description };
}

function optional(name: string, type: Column["type"], description: string): Column {
  return { name, type, mode: "NULLABLE", description };
}
