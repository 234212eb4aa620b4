import { virtualClock, type VirtualClock } from "event-driver/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Answer } from "../../../src/bigquery/sink/row-writer.ts";

import { deliverRows } from "../../../src/bigquery/sink/deliver-rows.ts";
import { WriteApiWriter } from "../../../src/bigquery/sink/write-api/write-api-writer.ts";
import { type Fate, WriteApiModel } from "./write-api-model.ts";

describe("on the default stream", () => {
  test("only the first request of a connection says what its rows look like, and none says an offset", async () => {
    const { model, append } = await setUp();

    await append("a");
    await append("b", "c");

    expect(model.stored).toEqual(["a", "b", "c"]);
    expect(model.requests.map(({ protoRows }) => protoRows?.writerSchema !== undefined)).toEqual([true, false]);
    expect(model.requests).toMatchObject([{ writeStream: model.defaultStream, defaultMissingValueInterpretation: "DEFAULT_VALUE" }, {}]);
    expect(model.requests.map(({ offset }) => offset)).toEqual([undefined, undefined]);
    expect(model.connections).toHaveLength(1);
  });

  test("answers are taken in the order of the requests", async () => {
    const { model, append } = await setUp();
    model.fates.push("answered", { rowErrors: [{ index: 0, message: "bad id" }] }, "answered");

    const answers = await Promise.all([append("a"), append("b"), append("c")]);

    expect(answers.map(({ status }) => status)).toEqual(["stored", "refused", "stored"]);
  });

  test("a broken connection fails all that wait on it, and the next request opens another", async () => {
    const { model, append } = await setUp();
    model.fates.push("cut before");

    const answers = await Promise.all([append("a"), append("b")]);

    expect(answers).toMatchObject([
      { status: "failed", passing: true, problem: "answered UNAVAILABLE" },
      { status: "failed", passing: true },
    ]);
    expect(await append("c")).toMatchObject({ status: "stored" });
    expect(model.requests[0]?.protoRows?.writerSchema).toBeDefined();
    expect(model.connections).toHaveLength(2);
  });

  test("a connection that BigQuery has ended while it was idle is replaced without a failure", async () => {
    const { model, append } = await setUp();
    await append("a");

    model.connections[0]?.hangUp();

    expect(await append("b")).toMatchObject({ status: "stored" });
  });

  test("an answer that does not come in time fails all that wait, and the connection is given up, so that none is taken for another", async () => {
    const { model, append, clock } = await setUp();
    model.fates.push("silent");

    const answers = Promise.all([append("a"), append("b")]);
    await clock.advance(1_000);

    expect(await answers).toMatchObject([
      { status: "failed", passing: true, problem: "gave no answer" },
      { status: "failed", passing: true, problem: "gave no answer" },
    ]);
    expect(await append("c")).toMatchObject({ status: "stored" });
    expect(model.connections[0]?.cancelled).toBe(true);
  });

  test("what BigQuery refuses of a row is told by its column alone", async () => {
    const { model, append } = await setUp();
    model.fates.push({ rowErrors: [{ index: "1", code: "FIELDS_ERROR", message: "Field id: secret is too long" }], error: { code: 3 } });

    expect(await append("a", "b")).toEqual({ status: "refused", refused: [{ index: 1, problem: "column id" }] });
  });

  test.each([
    [3, { status: "unreadable", problem: "answered INVALID_ARGUMENT" }],
    [7, { status: "failed", passing: false, problem: "answered PERMISSION_DENIED" }],
    [8, { status: "failed", passing: true, problem: "answered RESOURCE_EXHAUSTED" }],
    [13, { status: "failed", passing: true, problem: "answered INTERNAL" }],
    [99, { status: "failed", passing: true, problem: "gave no answer" }],
  ])("an answer with code %i", async (code, expected) => {
    const { model, append } = await setUp();
    model.fates.push({ error: { code, message: "why" } });

    expect(await append("a")).toMatchObject({ ...expected, cause: { message: "why", code } });
  });

  test("columns that a table is given while rows are sent can be used from then on, and rows made before still arrive", async () => {
    const { model, append, writer } = await setUp();
    const before = writer.encode({ id: "old" });
    model.fates.push({ appendResult: {}, updatedSchema: { fields: [...(model.schema.fields ?? []), { name: "total", type: "NUMERIC" }] } });
    await append("a");

    const after = writer.encode({ id: "new", total: "1" });
    await writer.append([after]);
    await writer.append([before]);

    expect(model.requests.map(({ protoRows }) => protoRows?.writerSchema?.protoDescriptor?.field?.length)).toEqual([2, 1]);
    expect(model.connections.map(({ ended, cancelled }) => [ended, cancelled])).toEqual([
      [true, false],
      [true, false],
      [false, false],
    ]);
  });

  test("after a failure that does not pass, the table is read again for the next row", async () => {
    const { model, append, writer } = await setUp();
    model.fates.push({ error: { code: 5, message: "no such table" } });
    await append("a");

    await Promise.all([writer.open(), writer.open()]);
    await writer.open();

    expect(model.schemaReads).toBe(2);
  });

  test("a row that does not fit has the table read again for the next one, at most once a minute", async () => {
    const { model, writer, clock } = await setUp();
    const misfit = (): unknown => writer.encode({ total: "1" });
    model.schema = { fields: [...(model.schema.fields ?? []), { name: "total", type: "NUMERIC" }] };

    await clock.advance(59_999);
    expect(misfit).toThrow("column total is not in the table");
    await writer.open();
    expect(misfit).toThrow("column total is not in the table");
    await clock.advance(1);
    expect(misfit).toThrow("column total is not in the table");
    await writer.open();

    expect(misfit).not.toThrow();
    expect(model.schemaReads).toBe(2);
  });

  test("a table that could not be read is read again", async () => {
    const model = new WriteApiModel();
    let opened = 0;
    const openApi = async (): Promise<WriteApiModel> => {
      opened += 1;
      if (opened === 1) throw new Error("no credentials");
      return model;
    };
    const writer = new WriteApiWriter({ openApi, exactlyOnce: false, clock: virtualClock(), timeout: 1_000 });

    await expect(writer.open()).rejects.toThrow("no credentials");
    await writer.open();

    expect([opened, model.schemaReads]).toEqual([2, 1]);
  });

  test("closing fails what is on its way and closes the client", async () => {
    const { model, append, writer } = await setUp();
    model.fates.push("silent");
    const answer = append("a");

    await writer.close();

    expect(await answer).toMatchObject({ status: "failed", problem: "gave no answer" });
    expect(model.closed).toBe(1);
  });
});

describe("with exactly-once", () => {
  test("each request says where on a stream of its own its rows belong", async () => {
    const { model, append } = await setUp({ exactlyOnce: true });

    await append("a", "b");
    await append("c");

    expect(model.requests.map(({ writeStream, offset }) => [writeStream, offset?.value])).toEqual([
      ["table/streams/1", 0],
      ["table/streams/1", 2],
    ]);
  });

  test("rows whose answer was lost are stored once when they are sent again", async () => {
    const { model, writer, encode } = await setUp({ exactlyOnce: true });
    const rows = encode("a", "b");
    model.fates.push("cut after");

    expect(await writer.append(rows)).toMatchObject({ status: "failed", passing: true });
    expect(await writer.append(rows)).toMatchObject({ status: "stored" });
    await writer.append(encode("c"));

    expect(model.stored).toEqual(["a", "b", "c"]);
  });

  test("rows that are sent in the place of some whose fate is unknown go to a new stream, for they would be taken for those", async () => {
    const { model, append } = await setUp({ exactlyOnce: true });
    model.fates.push("cut after");

    await append("a");
    expect(await append("b")).toMatchObject({ status: "stored" });

    expect(model.stored).toEqual(["a", "b"]);
    expect(model.requests.map(({ writeStream }) => writeStream)).toEqual(["table/streams/1", "table/streams/2"]);
  });

  test("rows that were refused leave no gap", async () => {
    const { model, append } = await setUp({ exactlyOnce: true });
    model.fates.push({ rowErrors: [{ index: 0, message: "bad" }] });

    expect(await append("a", "b")).toMatchObject({ status: "refused" });
    expect(await append("b")).toMatchObject({ status: "stored" });

    expect(model.requests.map(({ offset }) => offset?.value)).toEqual([0]);
  });

  test("an offset that is taken although nothing was sent there is a fault of the stream: the rows go to a new one", async () => {
    const { model, writer, encode } = await setUp({ exactlyOnce: true });
    const rows = encode("a");
    model.fates.push({ error: { code: 6, message: "already there" } });

    expect(await writer.append(rows)).toMatchObject({ status: "failed", passing: true });
    expect(await writer.append(rows)).toMatchObject({ status: "stored" });

    expect(model.stored).toEqual(["a"]);
    expect(model.requests.at(-1)).toMatchObject({ writeStream: "table/streams/2", offset: { value: 0 } });
  });

  test.each([5, 9, 11])("a stream that answers %i is left, and the rows go to a new one", async (code) => {
    const { model, writer, encode } = await setUp({ exactlyOnce: true });
    const rows = encode("a");
    model.fates.push({ error: { code, message: "of no use" } });

    expect(await writer.append(rows)).toMatchObject({ status: "failed", passing: true });
    expect(await writer.append(rows)).toMatchObject({ status: "stored" });

    expect(model.stored).toEqual(["a"]);
  });

  test("rows that may be on a stream that is gone are not put on a new one", async () => {
    const { model, writer, encode } = await setUp({ exactlyOnce: true });
    const rows = encode("a");
    model.fates.push("cut after");
    await writer.append(rows);
    model.remove("table/streams/1");

    expect(await writer.append(rows)).toMatchObject({ status: "failed", passing: false, problem: "answered NOT_FOUND" });

    expect(model.stored).toEqual(["a"]);
  });

  test("rows that may be stored are not taken apart when BigQuery cannot read them the second time", async () => {
    const { model, writer, encode } = await setUp({ exactlyOnce: true });
    const rows = encode("a", "b");
    model.fates.push("cut after", { error: { code: 3, message: "the table has changed" } });
    await writer.append(rows);

    expect(await writer.append(rows)).toMatchObject({ status: "failed", passing: false, problem: "answered INVALID_ARGUMENT" });
  });

  test("a stream that cannot be made fails the rows, and is made with the next", async () => {
    const { model, append } = await setUp({ exactlyOnce: true });
    model.createStreamFails = Object.assign(new Error("no such table"), { code: 5 });

    expect(await append("a")).toMatchObject({ status: "failed", passing: false, problem: "answered NOT_FOUND" });
    model.createStreamFails = undefined;
    expect(await append("a")).toMatchObject({ status: "stored" });
  });
});

test("whatever happens to the connections, what is told stored is stored: once with exactly-once, and else at least once", async () => {
  const fate: fc.Arbitrary<Fate> = fc.constantFrom<Fate>(
    "answered",
    "cut before",
    "cut after",
    "silent",
    { error: { code: 13 } },
    { error: { code: 3 } },
  );

  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 30 }), fc.boolean(), async (fates, exactlyOnce) => {
      const { model, writer, encode, clock } = await setUp({ exactlyOnce });
      model.fates.push(...fates);
      const told: string[] = [];
      const failed: string[] = [];

      for (let batch = 0; batch < 6; batch += 1) {
        const ids = [`${batch}a`, `${batch}b`, `${batch}c`];
        const rows = encode(...ids).map((row, index) => ({
          row,
          stored: () => void told.push(ids[index] ?? ""),
          refused: () => void failed.push(ids[index] ?? ""),
          failed: () => void failed.push(ids[index] ?? ""),
        }));
        let delivered = false;
        const retry = { maxAttempts: 3, baseDelay: 1, maxDelay: 1 };
        const delivery = { append: (each: Parameters<typeof writer.append>[0]) => writer.append(each), retry, clock, random: () => 1 };
        const delivering = deliverRows(rows, { ...delivery, signal: new AbortController().signal }).then(() => (delivered = true));
        while (!delivered) await clock.advance(1_000);
        await delivering;
      }

      expect([...told, ...failed].toSorted()).toEqual(
        ["a", "b", "c"].flatMap((each) => [0, 1, 2, 3, 4, 5].map((batch) => `${batch}${each}`)).toSorted(),
      );
      const times = (id: string): number => model.stored.filter((each) => each === id).length;
      const most = exactlyOnce ? 1 : Infinity;
      expect(told.filter((id) => times(id) < 1)).toEqual([]);
      expect([...told, ...failed].filter((id) => times(id) > most)).toEqual([]);
    }),
  );
});

interface SetUp {
  readonly model: WriteApiModel;
  readonly writer: WriteApiWriter;
  readonly clock: VirtualClock;
  readonly encode: (...ids: readonly string[]) => ReturnType<WriteApiWriter["encode"]>[];
  readonly append: (...ids: readonly string[]) => Promise<Answer>;
}

/** A writer on a table with one column of text; an answer may take a second. */
async function setUp({ exactlyOnce = false } = {}): Promise<SetUp> {
  const model = new WriteApiModel();
  const clock = virtualClock();
  const writer = new WriteApiWriter({ openApi: async () => model, exactlyOnce, clock, timeout: 1_000 });
  await writer.open();
  const encode: SetUp["encode"] = (...ids) => ids.map((id) => writer.encode({ id }));
  return { model, writer, clock, encode, append: (...ids) => writer.append(encode(...ids)) };
}
