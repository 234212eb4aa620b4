import { BigQuery } from "@google-cloud/bigquery";
import { BigQueryWriteClient } from "@google-cloud/bigquery-storage";
import { expect, test } from "vitest";

import type { BigQuerySinkOptions } from "../../../src/bigquery/sink/sink-options.ts";

import { bigQuerySink } from "../../../src/bigquery/sink/bigquery-sink.ts";

const good: BigQuerySinkOptions = { dataset: "shop", table: "orders", toRow: ({ id }) => ({ id }) };

test.each<[Partial<BigQuerySinkOptions>, string]>([
  [{ dataset: "shop.orders" }, 'dataset is "shop.orders", allowed is letters, digits and underscores'],
  [{ table: "orders/streams" }, 'table is "orders/streams", allowed is a table\'s name'],
  [{ table: "" }, 'table is ""'],
  [{ batch: { rows: 0 } }, "batch.rows is 0, allowed is a whole number from 1 to 50000"],
  [{ batch: { rows: 1.5 } }, "batch.rows is 1.5"],
  [{ batch: { bytes: 10_000_000 } }, "batch.bytes is 10000000, allowed is a whole number from 1 to 9500000"],
  [{ batch: { wait: -1 } }, "batch.wait is -1, allowed is milliseconds from 0"],
  [{ buffer: { rows: 0 } }, "buffer.rows is 0, allowed is a whole number from 1"],
  [{ buffer: { bytes: 999_999 } }, "buffer.bytes is 999999, allowed is at least batch.bytes (1000000)"],
  [{ retry: { maxAttempts: 0 } }, "retry.maxAttempts is 0"],
  [{ retry: { baseDelay: Number.NaN } }, "retry.baseDelay is NaN"],
  [{ retry: { maxDelay: 199 } }, "retry.maxDelay is 199, allowed is milliseconds from baseDelay (200)"],
  [{ maxInFlight: 0 }, "maxInFlight is 0"],
  [{ maxInFlight: 2, delivery: "exactly-once" }, 'maxInFlight is 2, allowed is 1 with delivery "exactly-once"'],
  [{ timeout: 0 }, "timeout is 0, allowed is milliseconds above 0"],
  [{ closeTimeout: -1 }, "closeTimeout is -1, allowed is milliseconds from 0"],
  [{ apiEndpoint: "localhost:9060" }, 'apiEndpoint is "localhost:9060", allowed is a URL that begins with http: or https:'],
  [{ api: "insertAll", delivery: "exactly-once" }, 'delivery is "exactly-once", allowed is "at-least-once" with api "insertAll"'],
  [{ api: "insertAll", writeClient: new BigQueryWriteClient() }, 'writeClient is an object, allowed is bigquery with api "insertAll"'],
  [{ bigquery: new BigQuery({ projectId: "p" }) }, 'bigquery is an object, allowed is writeClient with api "storage-write"'],
])("%j is refused when the sink is made", (bad, problem) => {
  expect(() => bigQuerySink({ ...good, ...bad })).toThrow(`bigQuerySink: ${problem}`);
});

test.each([
  ["toRow", "a row"],
  ["api", "storageWrite"],
  ["delivery", "once"],
])("%s of the wrong kind is refused, also where no compiler has looked", (option, value) => {
  const options = { ...good, [option]: value };

  expect(() => bigQuerySink(options)).toThrow(`bigQuerySink: ${option} is "${value}"`);
});

test("a sink that has seen no message is closed without a word to BigQuery", async () => {
  const sink = bigQuerySink({ ...good, apiEndpoint: "http://127.0.0.1:1" });

  await sink.flush();
  await sink.close();

  expect(sink.traits).toEqual({ name: "bigQuerySink" });
});
