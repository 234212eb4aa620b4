import { BigQuery, type TableField } from "@google-cloud/bigquery";
import { PassThroughClient } from "google-auth-library";
import { randomUUID } from "node:crypto";

import { services } from "../../../../../test/services.ts";

/** The project that the emulator is started with. */
export const projectId = "test-project";

/** A table of its own for one test. */
export interface EmulatedTable {
  readonly dataset: string;
  readonly table: string;
  /** What the table holds, ordered by its first column. */
  rows(): Promise<readonly object[]>;
  /** The first column of each row, in order. */
  ids(): Promise<readonly string[]>;
}

/** A client that looks for no credentials. */
export function emulatedBigQuery(apiEndpoint: string = services.bigquery.url): BigQuery {
  return new BigQuery({ projectId, apiEndpoint, authClient: new PassThroughClient(), retryOptions: { autoRetry: false } });
}

export async function emulatedTable(fields: readonly TableField[]): Promise<EmulatedTable> {
  const bigquery = emulatedBigQuery();
  const dataset = `sink_${randomUUID().replaceAll("-", "")}`;
  await bigquery.createDataset(dataset);
  await bigquery.dataset(dataset).createTable("orders", { schema: { fields: [...fields] } });
  const rows = async (): Promise<readonly object[]> => {
    const [job] = await bigquery.createQueryJob(`SELECT * FROM ${dataset}.orders ORDER BY 1`);
    const [found] = await job.getQueryResults({ wrapIntegers: true });
    return found;
  };
  return { dataset, table: "orders", rows, ids: async () => (await rows()).map((row) => String(Object.values(row)[0])) };
}
