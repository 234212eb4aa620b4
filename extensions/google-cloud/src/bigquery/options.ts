import type { Clock, EventDriverError, Logger } from "event-driver";
import type { CallKind } from "./calls.ts";
import type { ReadPolicy } from "./statements.ts";
import type { CreateTableOptions, TableSettings } from "./table.ts";

import { BigQuery } from "@google-cloud/bigquery";
import { invalidOption, silentLogger, systemClock } from "event-driver";

export interface BigQueryEventStoreOptions {
  /** Name of the dataset; it must exist. Letters, digits and underscores. */
  readonly dataset: string;
  /** Name of the table. Letters, digits, underscores and hyphens. */
  readonly table: string;
  /**
   * The client, with its credentials. It is never closed.
   * @default a new one, with the credentials of the environment
   */
  readonly bigquery?: BigQuery;
  /**
   * Where BigQuery's interface is, for a client that the store makes: an emulator, a private endpoint.
   * @default Google's
   */
  readonly apiEndpoint?: string;
  /**
   * The project of the dataset. Jobs run in, and are billed to, the project of the client.
   * @default the client's
   */
  readonly projectId?: string;
  /**
   * Where the dataset is and jobs run. Needed outside of the multi-regions US and EU.
   * @default found by BigQuery from the dataset
   */
  readonly location?: string;
  /**
   * Whether the table is made where it is missing; the dataset never is.
   * @default false
   */
  readonly createTable?: boolean | CreateTableOptions;
  /**
   * Milliseconds after which BigQuery removes what was written, whatever it is, a day's partition at a time. Only with `createTable`: a table that
   * exists keeps its own.
   * @default the dataset's, else never
   */
  readonly partitionExpiration?: number;
  /**
   * Bytes that one job may be billed for; one that would read more fails and costs nothing. At least 10 MiB, the least that a query is billed for.
   * @default the project's limit
   */
  readonly maximumBytesBilled?: number;
  /**
   * Put on every job, so that its costs are found in the bill. At most 64.
   * @default none
   */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Which of several writes of one key and source counts. With `"firstCreated"` a later `persist` is kept for audit but never read, which is less than
   * the handlers of this project expect.
   * @default "lastCreated"
   */
  readonly readPolicy?: ReadPolicy;
  /**
   * Milliseconds after which a call fails with `ERR_STORE_UNAVAILABLE` and its job is cancelled; one number for all, or one for each kind.
   * @default 30_000
   */
  readonly timeout?: number | Readonly<Partial<Record<CallKind, number>>>;
  /**
   * Told when a job that nobody waits for could not be cancelled.
   * @default silent
   */
  readonly logger?: Logger;
  /**
   * What timeouts are measured on, and rows of one instant are ordered by. `storedAt` and `readAt` are read on BigQuery's own clock.
   * @default systemClock
   */
  readonly clock?: Clock;
}

export interface Settings {
  readonly client: BigQuery;
  readonly table: TableSettings;
  readonly location: string | undefined;
  readonly maximumBytesBilled: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly readPolicy: ReadPolicy;
  readonly limits: Readonly<Record<CallKind, number>>;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: BigQueryEventStoreOptions): Settings {
  const { bigquery, apiEndpoint, projectId, location, maximumBytesBilled, labels = {}, readPolicy = "lastCreated" } = options;
  const { logger = silentLogger, clock = systemClock } = options;
  requireMatch("dataset", options.dataset, /^\w{1,1024}$/, "letters, digits and underscores");
  requireMatch("table", options.table, /^[\w-]{1,1024}$/, "letters, digits, underscores and hyphens");
  if (projectId !== undefined) requireMatch("projectId", projectId, /^([a-z\d.-]+:)?[a-z][a-z\d-]{4,28}[a-z\d]$/, "the id of a project");
  if (location !== undefined)
    requireMatch("location", location, /^[A-Za-z][A-Za-z\d-]{1,62}$/, 'a location such as "EU" or "europe-west3"');
  if (bigquery !== undefined && apiEndpoint !== undefined)
    throw invalid("apiEndpoint", apiEndpoint, "none beside bigquery: give it to the client");
  if (apiEndpoint !== undefined && !URL.canParse(apiEndpoint)) throw invalid("apiEndpoint", apiEndpoint, "a URL");
  if (maximumBytesBilled !== undefined && !(Number.isSafeInteger(maximumBytesBilled) && maximumBytesBilled >= leastBytesBilled)) {
    throw invalid("maximumBytesBilled", maximumBytesBilled, `a whole number of bytes from ${leastBytesBilled}`);
  }
  if (readPolicy !== "lastCreated" && readPolicy !== "firstCreated") {
    throw invalid("readPolicy", readPolicy, '"lastCreated" or "firstCreated"');
  }
  requireLabels(labels);
  return {
    client: bigquery ?? newClient(options),
    table: tableSettings(options),
    location,
    maximumBytesBilled,
    labels,
    readPolicy,
    limits: limitsOf(options.timeout),
    logger,
    clock,
  };
}

function tableSettings({ dataset, table, projectId, createTable = false, partitionExpiration }: BigQueryEventStoreOptions): TableSettings {
  if (partitionExpiration !== undefined) {
    if (!(Number.isSafeInteger(partitionExpiration) && partitionExpiration >= 1)) {
      throw invalid("partitionExpiration", partitionExpiration, "a whole number of milliseconds from 1");
    }
    if (createTable === false)
      throw invalid("partitionExpiration", partitionExpiration, "none without createTable: set it on the table itself");
  }
  const create = typeof createTable === "object" ? createTable : {};
  if (!partitionings.has(create.partitionBy ?? "DAY")) {
    throw invalid("createTable.partitionBy", create.partitionBy, [...partitionings].map((each) => JSON.stringify(each)).join(", "));
  }
  return { dataset, table, projectId, create: createTable === false ? undefined : create, partitionExpiration };
}

/** Of each table that a query reads. */
const leastBytesBilled = 10_485_760;
const partitionings: ReadonlySet<string> = new Set(["HOUR", "DAY", "MONTH", "YEAR"]);
const kinds: readonly CallKind[] = ["list", "read", "remove", "write"];

function limitsOf(timeout: BigQueryEventStoreOptions["timeout"] = {}): Record<CallKind, number> {
  const given = typeof timeout === "number" ? { list: timeout, read: timeout, remove: timeout, write: timeout } : timeout;
  for (const [kind, limit] of Object.entries(given)) {
    if (!kinds.some((each) => each === kind)) throw invalid(`timeout.${kind}`, limit, `one of ${kinds.join(", ")}`);
    if (!(limit > 0 && limit < Infinity)) {
      throw invalid(typeof timeout === "number" ? "timeout" : `timeout.${kind}`, limit, "milliseconds above 0");
    }
  }
  return { list: 30_000, read: 30_000, remove: 30_000, write: 30_000, ...given };
}

function requireLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > 64) throw invalid("labels", `${entries.length} labels`, "at most 64");
  for (const [name, value] of entries) {
    requireMatch("a label's name", name, /^[a-z][a-z\d_-]{0,62}$/, "at most 63 of a-z, 0-9, _ and -, the first a letter");
    requireMatch(`label ${name}`, value, /^[a-z\d_-]{0,63}$/, "at most 63 of a-z, 0-9, _ and -");
  }
}

function newClient({ apiEndpoint, projectId, location }: BigQueryEventStoreOptions): BigQuery {
  return new BigQuery({
    ...(apiEndpoint !== undefined && { apiEndpoint }),
    ...(projectId !== undefined && { projectId }),
    ...(location !== undefined && { location }),
  });
}

function requireMatch(option: string, given: unknown, pattern: RegExp, allowed: string): void {
  if (typeof given !== "string" || !pattern.test(given)) throw invalid(option, given, allowed);
}

function invalid(option: string, given: unknown, allowed: string): EventDriverError {
  return invalidOption("bigQueryEventStore", option, given, allowed);
}
