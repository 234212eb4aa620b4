import { createMessage, idempotency, joiner, matchAll, memoryEventStore } from "event-driver";
import { expect, test } from "vitest";

import { type BigQueryEventStoreOptions, bigQueryEventStore } from "../../src/bigquery/index.ts";
import { fakeBigQuery, type FakeBigQuery, type FakeRequest, isNewJob, refusal } from "./fake-big-query.ts";

const event = createMessage({ id: "id-1", key: "order-1", source: "event1", content: "{}" });

test("idempotency refuses the store for its claims, and says which to give instead", async () => {
  const store = storeOn(await fakeBigQuery(() => undefined));

  expect(() => idempotency({ store })).toThrow(
    expect.objectContaining({
      code: "ERR_UNSUPPORTED",
      message: expect.stringContaining("idempotency({ store: sqliteEventStore({ file }) })"),
    }),
  );
});

test("a joiner that emits once refuses the store unless claims are given, and says how", async () => {
  const store = storeOn(await fakeBigQuery(() => undefined));
  const condition = matchAll("event1", "event2");

  expect(() => joiner({ store, condition })).toThrow(
    expect.objectContaining({
      code: "ERR_UNSUPPORTED",
      message: expect.stringContaining("joiner({ claims: sqliteEventStore({ file }) })"),
    }),
  );
  expect(() => joiner({ store, condition, claims: memoryEventStore() })).not.toThrow();
});

test("check makes a table that is missing, partitioned, clustered and expiring as the options say", async () => {
  const fake = await fakeBigQuery((request) => (isTable(request) && request.method === "GET" ? refusal(404, "notFound") : undefined));
  const store = storeOn(fake, { createTable: { description: "audit", partitionBy: "MONTH" }, partitionExpiration: 86_400_000 });

  await store.check();

  const creations = fake.requests.filter(({ method, path }) => method === "POST" && path === "datasets/orders/tables");
  expect(creations.map(({ body }) => body)).toEqual([
    expect.objectContaining({
      tableReference: expect.objectContaining({ datasetId: "orders", tableId: "events" }),
      description: "audit",
      timePartitioning: { type: "MONTH", field: "stored_at", expirationMs: "86400000" },
      clustering: { fields: ["scope", "key", "source"] },
    }),
  ]);
});

test("check lets a table that exists be", async () => {
  const fake = await fakeBigQuery(() => undefined);

  await storeOn(fake, { createTable: true }).check();

  expect(fake.requests.filter(({ method }) => method === "POST").every((request) => request.body.configuration?.dryRun)).toBe(true);
});

test("a table that another process makes at the same moment will do", async () => {
  const fake = await fakeBigQuery((request) => {
    if (!isTable(request)) return undefined;
    return request.method === "GET" ? refusal(404, "notFound") : refusal(409, "duplicate");
  });

  await expect(storeOn(fake, { createTable: true }).check()).resolves.toBeUndefined();
});

test("check finds that the dataset is missing, and says what to do", async () => {
  const fake = await fakeBigQuery(({ path }) => (path.startsWith("datasets/") ? refusal(404, "notFound") : undefined));

  await expect(storeOn(fake, { createTable: true }).check()).rejects.toMatchObject({
    code: "ERR_STORE_FAILED",
    retryable: false,
    message: expect.stringContaining("dataset orders does not exist; create it"),
  });
});

test("check finds that the table is missing, and says what to do", async () => {
  const fake = await fakeBigQuery((request) => (isTable(request) ? refusal(404, "notFound") : undefined));

  await expect(storeOn(fake).check()).rejects.toMatchObject({
    code: "ERR_STORE_FAILED",
    retryable: false,
    message: expect.stringContaining("table orders.events does not exist; create it, or give the store createTable: true"),
  });
});

test.for(["SELECT", "INSERT"])("check finds that the right to %s is missing, without running anything", async (statement) => {
  const fake = await fakeBigQuery((request) => {
    if (!isNewJob(request)) return undefined;
    return request.body.configuration?.query.query.startsWith(statement) ? refusal(403, "accessDenied") : undefined;
  });

  await expect(storeOn(fake).check()).rejects.toMatchObject({
    code: "ERR_STORE_FAILED",
    retryable: false,
    message: expect.stringContaining("roles/bigquery.dataEditor"),
  });
  expect(fake.requests.filter(isNewJob).every(({ body }) => body.configuration?.dryRun)).toBe(true);
});

test("check is retryable when BigQuery cannot say now", async () => {
  const fake = await fakeBigQuery(() => refusal(503, "backendError"));

  await expect(storeOn(fake).check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
});

test("without check the table is made once, before the first statement, and asked for again when that failed", async () => {
  let failures = 1;
  const fake = await fakeBigQuery((request) => {
    if (!isTable(request) || request.method === "POST") return undefined;
    failures -= 1;
    return failures >= 0 ? refusal(503, "backendError") : refusal(404, "notFound");
  });
  const store = storeOn(fake, { createTable: true });

  await expect(store.persist(event)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  await Promise.all([store.persist(event), store.persist(event), store.lookUp("order-1", "event1")]);

  expect(fake.requests.filter((request) => isTable(request) && request.method === "POST")).toHaveLength(1);
  expect(fake.requests.filter(isNewJob)).toHaveLength(3);
});

test("the table is named with the project it is in where that is not the client's", async () => {
  const fake = await fakeBigQuery(() => undefined);

  await storeOn(fake, { projectId: "another-project" }).lookUp("order-1", "event1");

  expect(fake.requests.find(isNewJob)?.body.configuration?.query.query).toContain("`another-project.orders.events`");
});

test("a client that is given is not closed, and one is made for an endpoint", async () => {
  const fake = await fakeBigQuery(() => undefined);
  const bigquery = fake.client();

  await storeOn(fake, { bigquery }).close();

  await expect(bigquery.dataset("orders").getMetadata()).resolves.toBeDefined();
  expect(() =>
    bigQueryEventStore({ dataset: "orders", table: "events", apiEndpoint: "http://127.0.0.1:9", projectId: "test-project" }),
  ).not.toThrow();
});

test("a time that is no time is refused, and a limit that is none", async () => {
  const fake = await fakeBigQuery(() => undefined);
  const store = storeOn(fake);
  const refused = { code: "ERR_INVALID_OPTION", retryable: false };

  await expect(store.persist(event, { dueAt: Number.NaN })).rejects.toMatchObject(refused);
  await expect(store.persist(event, { expiresAt: Infinity })).rejects.toMatchObject(refused);
  await expect(store.listDue({ before: Number.NaN, limit: 1 })).rejects.toMatchObject(refused);
  await expect(store.listDue({ before: 1, limit: 0 })).rejects.toMatchObject(refused);
  await expect(store.listKeys({ limit: 1.5 })).rejects.toMatchObject(refused);
  expect(fake.requests).toEqual([]);
});

test.for<[string, Partial<BigQueryEventStoreOptions>, string]>([
  ["dataset", { dataset: "orders`; DROP" }, 'dataset is "orders`; DROP", allowed is letters, digits and underscores'],
  ["dataset", { dataset: "" }, 'dataset is "", allowed is letters, digits and underscores'],
  ["table", { table: "a.b" }, 'table is "a.b", allowed is letters, digits, underscores and hyphens'],
  ["projectId", { projectId: "no`pe" }, 'projectId is "no`pe", allowed is the id of a project'],
  ["location", { location: "EU; x" }, 'location is "EU; x", allowed is a location such as "EU" or "europe-west3"'],
  ["apiEndpoint", { apiEndpoint: "nowhere" }, 'apiEndpoint is "nowhere", allowed is a URL'],
  [
    "maximumBytesBilled",
    { maximumBytesBilled: 10_000_000 },
    "maximumBytesBilled is 10000000, allowed is a whole number of bytes from 10485760",
  ],
  [
    "labels",
    { labels: { "Not-Allowed": "" } },
    `a label's name is "Not-Allowed", allowed is at most 63 of a-z, 0-9, _ and -, the first a letter`,
  ],
  ["labels", { labels: { team: "Ä" } }, 'label team is "Ä", allowed is at most 63 of a-z, 0-9, _ and -'],
  ["timeout", { timeout: 0 }, "timeout is 0, allowed is milliseconds above 0"],
  ["timeout", { timeout: { read: -1 } }, "timeout.read is -1, allowed is milliseconds above 0"],
  [
    "partitionExpiration",
    { partitionExpiration: 1 },
    "partitionExpiration is 1, allowed is none without createTable: set it on the table itself",
  ],
  [
    "partitionExpiration",
    { partitionExpiration: 0, createTable: true },
    "partitionExpiration is 0, allowed is a whole number of milliseconds from 1",
  ],
])("a bad %s is refused with what was given and what is allowed", ([, options, message]) => {
  expect(() => bigQueryEventStore({ dataset: "orders", table: "events", ...options })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false, message: `bigQueryEventStore: ${message}` }),
  );
});

test("an endpoint beside a client is refused", async () => {
  const bigquery = (await fakeBigQuery(() => undefined)).client();

  expect(() => bigQueryEventStore({ dataset: "orders", table: "events", bigquery, apiEndpoint: "http://127.0.0.1:9" })).toThrow(
    "allowed is none beside bigquery",
  );
});

function storeOn(fake: FakeBigQuery, options: Partial<BigQueryEventStoreOptions> = {}): ReturnType<typeof bigQueryEventStore> {
  return bigQueryEventStore({ dataset: "orders", table: "events", bigquery: fake.client(), ...options });
}

function isTable({ path }: FakeRequest): boolean {
  return path.startsWith("datasets/orders/tables");
}
