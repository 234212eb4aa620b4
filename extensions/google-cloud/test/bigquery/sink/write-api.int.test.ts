import { adapt, managedwriter } from "@google-cloud/bigquery-storage";
import { isEventDriverError, type Message } from "event-driver";
import { type VirtualClock, virtualClock } from "event-driver/testing";
import fc from "fast-check";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import type { BigQuerySink } from "../../../src/bigquery/sink/sink-over.ts";
import type { BigQuerySinkOptions, TableRow } from "../../../src/bigquery/sink/sink-options.ts";

import { services, suiteWith } from "../../../../../test/services.ts";
import { bigQuerySink } from "../../../src/bigquery/sink/bigquery-sink.ts";
import { readColumns } from "../../../src/bigquery/sink/rows/column.ts";
import { convertRow } from "../../../src/bigquery/sink/rows/convert.ts";
import { protoRow } from "../../../src/bigquery/sink/rows/proto-row.ts";
import { openWriteClient } from "../../../src/bigquery/sink/write-api/write-api.ts";
import { type EmulatedTable, emulatedTable, projectId } from "./emulated-table.ts";
import { outcomeOf, send } from "./send.ts";
import { toxicProxy } from "../../../../../test/toxic-proxy.ts";

const suite = await suiteWith("bigquery", "bigqueryGrpc", "toxiproxy");

const ids = [{ name: "id", type: "STRING", mode: "REQUIRED" }] as const;

suite("the sink over the Storage Write API", () => {
  beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

  test("rows arrive with every type of column as they were given", async () => {
    const target = await emulatedTable([
      { name: "id", type: "STRING", mode: "REQUIRED" },
      { name: "count", type: "INT64" },
      { name: "total", type: "NUMERIC" },
      { name: "weight", type: "FLOAT64" },
      { name: "paid", type: "BOOL" },
      { name: "raw", type: "BYTES" },
      { name: "placed_at", type: "TIMESTAMP" },
      { name: "day", type: "DATE" },
      { name: "local", type: "DATETIME" },
      { name: "details", type: "JSON" },
      { name: "tags", type: "STRING", mode: "REPEATED" },
      { name: "nothing", type: "STRING" },
    ]);
    const sink = sinkInto(target, {
      toRow: ({ id }) => ({
        ID: id,
        count: 9_007_199_254_740_993n,
        total: "12.345678901",
        weight: 0.1,
        paid: true,
        raw: new Uint8Array([0, 255]),
        placed_at: "2026-07-01T12:30:00.123456+02:00",
        day: "2026-07-01",
        local: "2026-07-01T12:30:00",
        details: { gift: true },
        tags: ["a", "ü"],
        nothing: undefined,
      }),
    });

    await send(sink, "1");

    expect(JSON.parse(JSON.stringify(await target.rows()))).toEqual([
      {
        id: "1",
        count: { type: "BigQueryInt", value: "9007199254740993" },
        total: "12.345678901",
        weight: 0.1,
        paid: true,
        raw: { type: "Buffer", data: [0, 255] },
        placed_at: { value: "2026-07-01T10:30:00.123456000Z" },
        day: { value: "2026-07-01" },
        local: { value: "2026-07-01T12:30:00" },
        details: '{"gift":true}',
        tags: ["a", "ü"],
        nothing: null,
      },
    ]);
  });

  test("whatever text, number and bytes a row holds come back the same", async () => {
    const target = await emulatedTable([
      ...ids,
      { name: "text", type: "STRING" },
      { name: "whole", type: "INT64" },
      { name: "real", type: "FLOAT64" },
      { name: "raw", type: "BYTES" },
    ]);
    const rows = fc.sample(
      fc.record({
        text: fc.string({ unit: "grapheme" }),
        whole: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        real: fc.double({ noNaN: true, noDefaultInfinity: true }),
        raw: fc.uint8Array(),
      }),
      200,
    );
    const given = rows.map((row, index) => ({ id: String(index).padStart(3, "0"), ...row }));
    const sink = sinkInto(target, { toRow: ({ id }) => given[Number(id)] ?? {} });

    await Promise.all(given.map(({ id }) => send(sink, id)));

    expect(JSON.parse(JSON.stringify(await target.rows()))).toEqual(
      given.map(({ id, text, whole, real, raw }) => ({
        id,
        text,
        whole: { type: "BigQueryInt", value: String(whole) },
        // The emulator writes numbers as JSON, which knows no negative zero.
        real: real + 0,
        raw: { type: "Buffer", data: [...raw] },
      })),
    );
  });

  test("rows are written to the byte as Google's own writer writes them, with records in records", async () => {
    const address = [
      { name: "zip", type: "INTEGER" },
      { name: "town", type: "STRING" },
    ];
    const price = { name: "price", type: "RECORD", fields: [{ name: "value", type: "NUMERIC" }] };
    const fields = [
      ...ids,
      { name: "address", type: "RECORD", fields: address },
      { name: "lines", type: "RECORD", mode: "REPEATED", fields: [price] },
      { name: "ratio", type: "FLOAT" },
    ];
    const row = {
      id: "1",
      address: { zip: 4711, town: "Köln" },
      lines: [{ price: { value: "1.5" } }, {}, { price: { value: "2" } }],
      ratio: -0.25,
    };
    const writeClient = await openWriteClient({ projectId, apiEndpoint: services.bigqueryGrpc.url });
    const theirs = new managedwriter.WriterClient({ projectId });
    theirs.setClient(writeClient);
    onTestFinished(async () => {
      theirs.close();
      await writeClient.close();
    });

    const connection = await theirs.createStreamConnection({ streamId: "projects/p/datasets/d/tables/t/streams/_default" });
    connection.onConnectionError(() => {});
    const schema = adapt.convertBigQuerySchemaToStorageTableSchema({ fields });
    const writer = new managedwriter.JSONWriter({
      connection,
      protoDescriptor: adapt.convertStorageSchemaToProto2Descriptor(schema, "root"),
    });
    const append = writer.appendRows([row]);
    append.getResult().catch(() => {});
    const columns = readColumns(fields);

    expect(Buffer.from(protoRow(convertRow(columns, row)))).toEqual(append.getRequest().protoRows?.rows?.serializedRows?.[0]);
  });

  test("a thousand messages at once are each stored once", async () => {
    const target = await emulatedTable(ids);
    const sink = sinkInto(target, { batch: { rows: 100, wait: 10 } });
    const expected = Array.from({ length: 1_000 }, (_, index) => String(index).padStart(4, "0"));

    await Promise.all(expected.map((id) => send(sink, id)));

    expect(await target.ids()).toEqual(expected);
  });

  test("a message whose row does not fit fails alone", async () => {
    const target = await emulatedTable(ids);
    const sink = sinkInto(target, { toRow: ({ id }) => (id === "2" ? {} : { id }) });

    const outcomes = await Promise.all(["1", "2", "3"].map((id) => outcomeOf(send(sink, id))));

    expect(outcomes).toMatchObject(["stored", { code: "ERR_ROW_REFUSED", retryable: false }, "stored"]);
    expect(await target.ids()).toEqual(["1", "3"]);
  });

  test("a table that is not there is told by check, and fails messages so that they are delivered again", async () => {
    const { dataset } = await emulatedTable(ids);
    const sink = sinkInto({ dataset, table: "missing" });

    expect(await outcomeOf(sink.check())).toMatchObject({ code: "ERR_SINK_FAILED", cause: { code: 5 } });
    expect(await outcomeOf(send(sink, "1"))).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
  });

  test.each(["at-least-once", "exactly-once"] as const)("rows whose answer is lost are sent again, %s", async (delivery) => {
    const target = await emulatedTable(ids);
    const proxy = await toxicProxy(services.bigqueryGrpc.url);
    onTestFinished(() => proxy.remove());
    const clock = virtualClock();
    const paused = vi.fn<() => number>(() => 1);
    const sink = sinkInto(target, {
      apiEndpoint: proxy.url,
      delivery,
      clock,
      random: paused,
      timeout: 1e9,
      batch: { rows: 2 },
      retry: { maxAttempts: 1_000 },
    });
    await Promise.all(["0", "1"].map((id) => send(sink, id)));

    await proxy.cutAnswers();
    const sent = Promise.all(["2", "3"].map((id) => send(sink, id)));
    await expect.poll(() => paused, { message: "the answer is lost" }).toHaveBeenCalled();
    await expect.poll(() => target.ids(), { message: "the rows are stored all the same" }).toContain("3");
    await proxy.mend();
    await advanceUntil(clock, sent);

    const twice = delivery === "at-least-once" ? ["2", "3"] : [];
    expect(await target.ids()).toEqual(["0", "1", "2", "3", ...twice].toSorted());
  });

  test("a server that goes away in between costs no message", async () => {
    const target = await emulatedTable(ids);
    const proxy = await toxicProxy(services.bigqueryGrpc.url);
    onTestFinished(() => proxy.remove());
    const clock = virtualClock();
    const paused = vi.fn<() => number>(() => 1);
    const sink = sinkInto(target, {
      apiEndpoint: proxy.url,
      delivery: "exactly-once",
      clock,
      random: paused,
      timeout: 1e9,
      batch: { rows: 5 },
      retry: { maxAttempts: 1_000 },
    });
    const expected = Array.from({ length: 100 }, (_, index) => String(index).padStart(3, "0"));
    const sent = expected.map((id) => send(sink, id));
    const all = Promise.all(sent);

    await sent[20];
    await proxy.cut();
    await expect.poll(() => paused, { message: "the connection broke" }).toHaveBeenCalled();
    await proxy.mend();
    await advanceUntil(clock, all);

    expect(await target.ids()).toEqual(expected);
  });

  test("a server that is silent is not waited for beyond the time limit, and no more than the buffer is held", async () => {
    const target = await emulatedTable(ids);
    const proxy = await toxicProxy(services.bigqueryGrpc.url);
    onTestFinished(() => proxy.remove());
    const sink = sinkInto(target, { apiEndpoint: proxy.url, timeout: 300, buffer: { rows: 20 }, retry: { maxAttempts: 1 } });
    await send(sink, "0");
    await proxy.freeze();

    const outcomes = await Promise.all(Array.from({ length: 100 }, (_, index) => outcomeOf(send(sink, `late ${index}`))));

    const codes = outcomes.map((outcome) => (isEventDriverError(outcome) ? outcome.code : outcome));
    expect(codes.filter((code) => code === "ERR_SINK_FAILED")).toHaveLength(20);
    expect(codes.filter((code) => code === "ERR_OVERLOADED")).toHaveLength(80);
    await proxy.mend();
    expect(await outcomeOf(send(sink, "1"))).toBe("stored");
  });

  test("a message that is given up while the server is silent rejects at once", async () => {
    const target = await emulatedTable(ids);
    const proxy = await toxicProxy(services.bigqueryGrpc.url);
    onTestFinished(() => proxy.remove());
    const sink = sinkInto(target, { apiEndpoint: proxy.url, batch: { rows: 1 } });
    await send(sink, "0");
    await proxy.freeze();
    const controller = new AbortController();
    const outcome = outcomeOf(send(sink, "1", controller.signal));

    controller.abort(new Error("the caller has gone"));

    expect(String(await outcome)).toContain("the caller has gone");
    await proxy.mend();
  });

  test("close stores what waits, and leaves a client open that was given", async () => {
    const target = await emulatedTable(ids);
    const writeClient = await openWriteClient({ projectId, apiEndpoint: services.bigqueryGrpc.url });
    onTestFinished(() => writeClient.close());
    const sink = bigQuerySink({ ...target, projectId, writeClient, toRow: idRow, batch: { wait: 60_000 } });
    await sink.check();
    const sent = Promise.all(["1", "2"].map((id) => send(sink, id)));

    await sink.close();

    await sent;
    expect(await target.ids()).toEqual(["1", "2"]);
    const [stream] = await writeClient.getWriteStream({
      name: writeClient.writeStreamPath(projectId, target.dataset, target.table, "_default"),
    });
    expect(stream.name).toContain(target.dataset);
  });
});

function sinkInto(target: Pick<EmulatedTable, "dataset" | "table">, options: Partial<BigQuerySinkOptions> = {}): BigQuerySink {
  const sink = bigQuerySink({
    ...target,
    projectId,
    apiEndpoint: services.bigqueryGrpc.url,
    toRow: idRow,
    batch: { wait: 20 },
    ...options,
  });
  onTestFinished(() => sink.close());
  return sink;
}

/** Lets the sink's pauses pass until the work is done; in between the sockets have their turn. */
async function advanceUntil(clock: VirtualClock, work: Promise<unknown>): Promise<void> {
  const progress = { done: false };
  void Promise.allSettled([work]).then(() => (progress.done = true));
  const advance = async (): Promise<boolean> => {
    await clock.advance(1_000);
    return progress.done;
  };
  await expect.poll(advance, { timeout: 30_000 }).toBe(true);
  await work;
}

function idRow({ id }: Message): TableRow {
  return { id };
}
