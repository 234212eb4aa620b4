import { createMessage, type EventStore, joiner, matchAll, memoryEventStore, type Message, pipeline, createContext } from "event-driver";
import { replicated } from "event-driver/stores";
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";

import { suiteWith } from "../../../../test/services.ts";
import { type BigQueryEventStore, type BigQueryEventStoreOptions, bigQueryEventStore } from "../../src/bigquery/index.ts";
import { emulatedBigQuery, newDataset } from "./emulator.ts";

const suite = await suiteWith("bigquery");

suite("a table of BigQuery", () => {
  const bigquery = emulatedBigQuery();
  const created = newDataset(bigquery);

  test("check makes the table where it may, and finds that nothing is missing", async () => {
    const { table, store } = await newStore({ createTable: true });

    await store.check();
    await store.check();

    const [metadata] = await bigquery
      .dataset(await created)
      .table(table)
      .getMetadata();
    expect(metadata.clustering).toEqual({ fields: ["scope", "key", "source"] });
    expect(metadata.timePartitioning).toMatchObject({ type: "DAY" });
  });

  test("check finds a dataset, a table and columns that are missing", async () => {
    const missing = { code: "ERR_STORE_FAILED", retryable: false };
    const { table, store } = await newStore();

    await expect(bigQueryEventStore({ bigquery, dataset: "no_dataset", table }).check()).rejects.toMatchObject(missing);
    await expect(store.check()).rejects.toMatchObject(missing);
    await bigquery.dataset(await created).createTable(table, { schema: { fields: [{ name: "key", type: "STRING" }] } });
    await expect(store.check()).rejects.toMatchObject({ ...missing, message: expect.stringContaining("columns") });
  });

  test("without a table every call fails for good, and says what to do", async () => {
    const { store } = await newStore();

    await expect(store.persist(event("a"))).rejects.toMatchObject({ code: "ERR_STORE_FAILED", retryable: false });
    await expect(store.lookUp("order-1", "event1")).rejects.toMatchObject({
      code: "ERR_STORE_FAILED",
      retryable: false,
      message: expect.stringContaining("createTable: true"),
    });
  });

  test("several processes that make the table at the same moment all go on", async () => {
    const { table, store } = await newStore({ createTable: true });
    const others = [await openStore(table, { createTable: true }), await openStore(table, { createTable: true })];

    await Promise.all([store, ...others].map((each, index) => each.persist(event(String(index), `event${index}`))));

    expect((await store.listSourcesByKey("order-1")).toSorted()).toEqual(["event0", "event1", "event2"]);
  });

  test("rows are only ever added, and SQL can read them", async () => {
    const { table, store } = await newStore({ createTable: true });
    await store.persist(
      createMessage({ id: "1", key: "order-1", source: "event1", content: '{"total":12}', attributes: { tenant: "acme" } }),
    );
    await store.persist(
      createMessage({ id: "2", key: "order-1", source: "event1", content: '{"total":13}', attributes: { tenant: "acme" } }),
    );
    await store.remove("order-1", "event1");

    const [job] = await bigquery.createQueryJob(
      `SELECT id, JSON_VALUE(content, '$.total') AS total, JSON_VALUE(attributes, '$.tenant') AS tenant, deleted
       FROM \`${await created}.${table}\` ORDER BY stored_at, revision`,
    );
    const [rows] = await job.getQueryResults();

    expect(rows).toEqual([
      { id: "1", total: "12", tenant: "acme", deleted: false },
      { id: "2", total: "13", tenant: "acme", deleted: false },
      { id: null, total: null, tenant: null, deleted: true },
    ]);
  });

  test("the placeholder for the project's name comes back as it went in", async () => {
    const { store } = await newStore({ createTable: true });
    const text = "{{projectId}} {{{projectId}}}";
    const message = createMessage({ id: text, key: text, source: text, content: text, attributes: { [text]: text } });

    await store.persist(message);

    expect((await store.lookUp(text, text))?.message).toEqual(message);
  });

  test("what is expected is looked at, where nobody else writes meanwhile", async () => {
    const { store } = await newStore({ createTable: true });
    const conflict = { code: "ERR_REVISION_CONFLICT" };

    const first = await store.persist(event("first"), { expected: "absent" });
    await expect(store.persist(event("again"), { expected: "absent" })).rejects.toMatchObject(conflict);
    const second = await store.persist(event("second"), { expected: first });
    await expect(store.persist(event("stale"), { expected: first })).rejects.toMatchObject(conflict);
    await expect(store.remove("order-1", "event1", { expected: first })).rejects.toMatchObject(conflict);
    expect(await contentIn(store)).toBe("second");
    await store.remove("order-1", "event1", { expected: second });
    await store.remove("order-1", "event1", { expected: second });

    expect(await contentIn(store)).toBeUndefined();
  });

  test("with readPolicy firstCreated the first write counts until it is removed", async () => {
    const { store } = await newStore({ createTable: true, readPolicy: "firstCreated" });
    await store.persist(event("first"), { dueAt: 1 });
    await store.persist(event("second"), { dueAt: 2 });
    const seen = [await contentIn(store), (await store.lookUpByKey("order-1")).length, await store.listDue({ before: 10, limit: 10 })];

    await store.remove("order-1", "event1");
    const removed = [await contentIn(store), await store.listSourcesByKey("order-1"), await store.listKeys({ limit: 10 })];
    await store.persist(event("third"));
    await store.persist(event("fourth"));

    expect(seen).toEqual(["first", 1, [{ key: "order-1", source: "event1", dueAt: 1 }]]);
    expect(removed).toEqual([undefined, [], []]);
    expect(await contentIn(store)).toBe("third");
  });

  test("a joiner that keeps its claims elsewhere joins what is in the table", async () => {
    const { store } = await newStore({ createTable: true });
    const emitted: unknown[] = [];
    const orders = pipeline()
      .use(joiner({ store, claims: memoryEventStore(), condition: matchAll("event1", "event2") }))
      .use(async (_ctx, message) => void emitted.push(message.content));

    await orders.process(createContext(), event('{"a":1}', "event1"));
    await orders.process(createContext(), event('{"b":2}', "event2"));

    expect(emitted).toEqual(['{"event1":{"a":1},"event2":{"b":2}}']);
  });

  test("as a copy of another store it has every write, in order", async () => {
    const { store: copy } = await newStore({ createTable: true });
    const store = replicated(memoryEventStore(), copy);

    for (const content of ["first", "second", "third"]) await store.persist(event(content));
    await store.close();

    expect(await contentIn(copy)).toBe("third");
    expect(store.copies.map(({ dropped }) => dropped)).toEqual([0]);
  });

  async function newStore(options: Partial<BigQueryEventStoreOptions> = {}): Promise<{ table: string; store: BigQueryEventStore }> {
    const table = randomUUID();
    return { table, store: await openStore(table, options) };
  }

  async function openStore(table: string, options: Partial<BigQueryEventStoreOptions>): Promise<BigQueryEventStore> {
    return bigQueryEventStore({ bigquery, dataset: await created, table, ...options });
  }
});

function event(content: string, source = "event1"): Message {
  return createMessage({ id: "event", key: "order-1", source, content });
}

async function contentIn(store: EventStore): Promise<unknown> {
  return (await store.lookUp("order-1", "event1"))?.message.content;
}
