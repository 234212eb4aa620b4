import type { BigQuery } from "@google-cloud/bigquery";

import type { DescribedField } from "../rows/column.ts";
import type { JsonRow } from "../rows/json-row.ts";

/** One row of a request. */
export interface InsertAllRow {
  /** By which BigQuery may recognise a row that it was sent before. */
  readonly insertId: string;
  readonly json: JsonRow;
}

/** What the sink needs of `tabledata.insertAll`, for one table. */
export interface InsertApi {
  readFields(): Promise<readonly DescribedField[]>;
  /** Rejects as the client does. */
  insert(rows: readonly InsertAllRow[]): Promise<unknown>;
}

export interface InsertApiOptions {
  readonly dataset: string;
  readonly table: string;
  readonly projectId?: string | undefined;
  readonly apiEndpoint?: string | undefined;
  readonly bigquery?: BigQuery | undefined;
}

/** Loads and makes the client, so that whoever does not use it need not install it. */
export async function openInsertApi(options: InsertApiOptions): Promise<InsertApi> {
  const bigquery = options.bigquery ?? (await openClient(options));
  const { dataset, projectId } = options;
  const table = bigquery.dataset(dataset, projectId === undefined ? {} : { projectId }).table(options.table);

  return {
    async readFields() {
      const [{ schema }] = await table.getMetadata();
      return schema?.fields ?? [];
    },
    // Of a request with an invalid row the others are stored. The client would send those that failed again, and forget which ones they were.
    insert: (rows) => table.insert([...rows], { raw: true, skipInvalidRows: true, partialRetries: 0 }),
  };
}

async function openClient({ projectId, apiEndpoint }: InsertApiOptions): Promise<BigQuery> {
  const { BigQuery: Client } = await import("@google-cloud/bigquery");
  return new Client({
    ...(projectId !== undefined && { projectId }),
    ...(apiEndpoint !== undefined && { apiEndpoint }),
    // The sink repeats requests itself, and counts how often.
    retryOptions: { autoRetry: false },
  });
}
