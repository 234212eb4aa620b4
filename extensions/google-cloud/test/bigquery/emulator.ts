import { BigQuery, type BigQueryOptions } from "@google-cloud/bigquery";
import { PassThroughClient } from "google-auth-library";
import { randomUUID } from "node:crypto";

import { services } from "../../../../test/services.ts";

/** A client for the emulator, which asks for no credentials. */
export function emulatedBigQuery(options: BigQueryOptions = {}): BigQuery {
  return new BigQuery({ projectId: "test-project", apiEndpoint: services.bigquery.url, authClient: new PassThroughClient(), ...options });
}

/** A dataset of its own for one test file. */
export async function newDataset(client: BigQuery): Promise<string> {
  const name = `test_${randomUUID().replaceAll("-", "_")}`;
  await client.createDataset(name);
  return name;
}
