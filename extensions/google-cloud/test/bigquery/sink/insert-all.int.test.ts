import type { Message } from "event-driver";

import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import type { BigQuerySink } from "../../../src/bigquery/sink/sink-over.ts";
import type { BigQuerySinkOptions } from "../../../src/bigquery/sink/sink-options.ts";

import { services, suiteWith } from "../../../../../test/services.ts";
import { bigQuerySink } from "../../../src/bigquery/sink/bigquery-sink.ts";
import { emulatedBigQuery, type EmulatedTable, emulatedTable } from "./emulated-table.ts";
import { outcomeOf, send } from "./send.ts";
import { toxicProxy } from "../../../../../test/toxic-proxy.ts";

const suite = await suiteWith("bigquery", "toxiproxy");

suite("the sink over insertAll", () => {
  beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

  test("rows arrive with every type of column as they were given, records in records among them", async () => {
    const target = await emulatedTable([
      { name: "id", type: "STRING", mode: "REQUIRED" },
      { name: "count", type: "INT64" },
      { name: "total", type: "NUMERIC" },
      { name: "raw", type: "BYTES" },
      { name: "placed_at", type: "TIMESTAMP" },
      { name: "day", type: "DATE" },
      { name: "tags", type: "STRING", mode: "REPEATED" },
      {
        name: "address",
        type: "RECORD",
        fields: [
          { name: "zip", type: "STRING" },
          { name: "geo", type: "RECORD", fields: [{ name: "lat", type: "FLOAT64" }] },
        ],
      },
    ]);
    const sink = sinkInto(target, {
      toRow: ({ id }) => ({
        id,
        count: -9_007_199_254_740_993n,
        total: "12.345678901",
        raw: new Uint8Array([0, 255]),
        placed_at: new Date("2026-07-01T12:30:00.123Z"),
        day: "2026-07-01",
        tags: ["a", "ü"],
        address: { zip: "50667", geo: { lat: 50.9 } },
      }),
    });

    await send(sink, "1");

    expect(JSON.parse(JSON.stringify(await target.rows()))).toEqual([
      {
        id: "1",
        count: { type: "BigQueryInt", value: "-9007199254740993" },
        total: "12.345678901",
        raw: { type: "Buffer", data: [0, 255] },
        placed_at: { value: "2026-07-01T12:30:00.123Z" },
        day: { value: "2026-07-01" },
        tags: ["a", "ü"],
        address: { zip: "50667", geo: { lat: 50.9 } },
      },
    ]);
  });

  test("many messages at once are each stored once", async () => {
    const target = await emulatedTable([{ name: "id", type: "STRING" }]);
    const sink = sinkInto(target, { batch: { rows: 50, wait: 10 } });
    const expected = Array.from({ length: 500 }, (_, index) => String(index).padStart(3, "0"));

    await Promise.all(expected.map((id) => send(sink, id)));

    expect(await target.ids()).toEqual(expected);
  });

  test("a table that is not there is told by check, and fails messages so that they are delivered again", async () => {
    const { dataset } = await emulatedTable([{ name: "id", type: "STRING" }]);
    const sink = sinkInto({ dataset, table: "missing" });

    expect(await outcomeOf(sink.check())).toMatchObject({ code: "ERR_SINK_FAILED", cause: { code: 404 } });
    expect(await outcomeOf(send(sink, "1"))).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
  });

  test("a table that has gone fails its messages retryably", async () => {
    const target = await emulatedTable([{ name: "id", type: "STRING" }]);
    const sink = sinkInto(target);
    await send(sink, "1");
    await emulatedBigQuery().dataset(target.dataset).table(target.table).delete();

    expect(await outcomeOf(send(sink, "2"))).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, cause: { code: 404 } });
  });

  test("a server that goes away in between costs no message", async () => {
    const target = await emulatedTable([{ name: "id", type: "STRING" }]);
    const proxy = await toxicProxy(services.bigquery.url);
    onTestFinished(() => proxy.remove());
    const retry = { maxAttempts: 1_000, baseDelay: 10, maxDelay: 20 };
    const sink = sinkInto(target, { bigquery: emulatedBigQuery(proxy.url), batch: { rows: 5, wait: 5 }, maxInFlight: 1, retry });
    const expected = Array.from({ length: 100 }, (_, index) => String(index).padStart(3, "0"));
    const sent = expected.map((id) => send(sink, id));
    const all = Promise.all(sent);

    await sent[20];
    await proxy.cut();
    await proxy.mend();
    await all;

    expect(new Set(await target.ids())).toEqual(new Set(expected));
  });
});

function sinkInto(target: Pick<EmulatedTable, "dataset" | "table">, options: Partial<BigQuerySinkOptions> = {}): BigQuerySink {
  const given = { api: "insertAll", bigquery: emulatedBigQuery(), batch: { wait: 20 }, toRow: ({ id }: Message) => ({ id }) } as const;
  const sink = bigQuerySink({ ...target, ...given, ...options });
  onTestFinished(() => sink.close());
  return sink;
}
