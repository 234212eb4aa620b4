import { createMessage, isEventDriverError } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { expect, test, vi } from "vitest";

import { type BigQueryEventStoreOptions, bigQueryEventStore } from "../../src/bigquery/index.ts";
import { fakeBigQuery, type FakeBigQuery, isCancel, isForResults, isNewJob, refusal } from "./fake-big-query.ts";

const event = createMessage({ id: "id-1", key: "order-1", source: "event1", content: "the content" });
const never = (): Promise<never> => new Promise(() => undefined);

test("every job has an id of its own, and the labels, the location and the limits of the store", async () => {
  const fake = await fakeBigQuery(() => undefined);
  const store = storeOn(fake, {
    location: "europe-west3",
    labels: { team: "orders" },
    maximumBytesBilled: 50_000_000,
    timeout: { write: 7_000 },
  });

  await store.persist(event);
  await store.lookUp("order-1", "event1");

  const jobs = fake.requests.filter(isNewJob).map(({ body }) => body);
  expect(jobs).toHaveLength(2);
  for (const { jobReference, configuration } of jobs) {
    expect(jobReference).toMatchObject({ jobId: expect.stringMatching(/^event-driver-[\w-]+$/), location: "europe-west3" });
    expect(configuration).toMatchObject({ labels: { team: "orders" }, query: { maximumBytesBilled: "50000000", useQueryCache: false } });
  }
  expect(jobs.map(({ configuration }) => configuration?.jobTimeoutMs)).toEqual(["7000", "30000"]);
  expect(new Set(jobs.map(({ jobReference }) => jobReference?.jobId)).size).toBe(2);
  expect(fake.requests.filter(isForResults).every(({ query }) => query.get("location") === "europe-west3")).toBe(true);
});

test("nothing of a message is part of a statement", async () => {
  const fake = await fakeBigQuery(() => undefined);
  const store = storeOn(fake).scope("a scope");

  await store.persist(
    createMessage({ id: "SECRET", key: "SECRET", source: "SECRET", content: "SECRET", attributes: { SECRET: "SECRET" } }),
  );
  await store.lookUp("SECRET", "SECRET");
  await store.lookUpByKey("SECRET");
  await store.listSourcesByKey("SECRET");
  await store.listDue({ before: 1, limit: 10, after: { key: "SECRET", source: "SECRET", dueAt: 0 } });
  await store.listKeys({ limit: 10, after: "SECRET" });
  await store.remove("SECRET", "SECRET");

  const statements = fake.requests.filter(isNewJob).map(({ body }) => body.configuration?.query.query);
  expect(statements).toHaveLength(7);
  for (const statement of statements) expect(statement).not.toMatch(/SECRET|a scope/);
});

test("a request that is sent again because its answer was lost runs once, and its result is read", async () => {
  const ids = new Set<string>();
  const fake = await fakeBigQuery((request) => {
    if (!isNewJob(request)) return undefined;
    const id = request.body.jobReference?.jobId ?? "none";
    if (ids.has(id)) return refusal(409, "duplicate", `Already Exists: Job ${id}`);
    ids.add(id);
    return "cut";
  });
  const bigquery = fake.client({ retryOptions: { autoRetry: true, maxRetryDelay: 0.001 } });

  const revision = await storeOn(fake, { bigquery }).persist(event);

  const [first, second] = fake.requests.filter(isNewJob).map(({ body }) => body.jobReference?.jobId);
  expect(second).toBe(first);
  expect(first).toBe(`event-driver-${revision}`);
  expect(fake.requests.filter(isForResults).map(({ path }) => path)).toEqual([`queries/${first}`]);
});

test("a job that takes long is asked for until it is done", async () => {
  let asked = 0;
  const fake = await fakeBigQuery((request) => {
    if (!isForResults(request)) return undefined;
    asked += 1;
    return asked < 3 ? { json: { jobComplete: false } } : { json: { jobComplete: true } };
  });

  await storeOn(fake).persist(event);

  expect(asked).toBe(3);
});

test("all pages of a result are read", async () => {
  const fake = await fakeBigQuery((request) => {
    if (!isForResults(request)) return undefined;
    const page = Number(request.query.get("pageToken") ?? 0);
    return {
      json: {
        jobComplete: true,
        schema: { fields: [{ name: "source", type: "STRING" }] },
        rows: [{ f: [{ v: `event${page}` }] }],
        ...(page < 2 && { pageToken: String(page + 1) }),
      },
    };
  });

  const sources = await storeOn(fake).listSourcesByKey("order-1");

  expect(sources).toEqual(["event0", "event1", "event2"]);
});

test.for([
  [400, "invalidQuery"],
  [404, "notFound"],
  [403, "accessDenied"],
  [403, "billingNotEnabled"],
  [400, "bytesBilledLimitExceeded"],
  [401, "authError"],
  [400, "aReasonThatIsNew"],
] as const)("a refusal that lasts is terminal: %i %s", async ([status, reason]) => {
  const fake = await fakeBigQuery((request) => (isNewJob(request) ? refusal(status, reason, "with the content") : undefined));

  const error = await rejectionOf(storeOn(fake).persist(event));

  expect(error).toMatchObject({ code: "ERR_STORE_FAILED", retryable: false, cause: expect.objectContaining({ code: status }) });
  expect(error.message).toContain(`persist on orders.events failed (${reason})`);
  expect(error.message).not.toContain("content");
});

test.for([
  [403, "rateLimitExceeded"],
  [403, "quotaExceeded"],
  [500, "backendError"],
  [503, "aReasonThatIsNew"],
  [429, "aReasonThatIsNew"],
] as const)("a refusal that passes is retryable: %i %s", async ([status, reason]) => {
  const fake = await fakeBigQuery((request) => (isNewJob(request) ? refusal(status, reason) : undefined));

  const error = await rejectionOf(storeOn(fake).lookUp("order-1", "event1"));

  expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true, cause: expect.objectContaining({ code: status }) });
});

test("a job that failed is told by its reason, though it has no status", async () => {
  const fake = await fakeBigQuery((request) =>
    isNewJob(request)
      ? {
          json: { jobReference: request.body.jobReference, status: { state: "DONE", errors: [{ reason: "invalidQuery", message: "no" }] } },
        }
      : undefined,
  );

  const error = await rejectionOf(storeOn(fake).lookUp("order-1", "event1"));

  expect(error).toMatchObject({ code: "ERR_STORE_FAILED", retryable: false });
});

test("a connection that breaks is retryable", async () => {
  const fake = await fakeBigQuery(() => "cut");

  const error = await rejectionOf(storeOn(fake).persist(event));

  expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true, cause: expect.any(Error) });
});

test("a request that is too large is terminal", async () => {
  const fake = await fakeBigQuery((request) => (isNewJob(request) ? refusal(413, "requestTooLarge") : undefined));

  const error = await rejectionOf(storeOn(fake).persist(event));

  expect(error).toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });
});

test("a content that no request can hold is refused before it is sent", async () => {
  const fake = await fakeBigQuery(() => undefined);

  const error = await rejectionOf(storeOn(fake).persist({ ...event, content: "€".repeat(3_000_001) }));

  expect(error).toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });
  expect(fake.requests).toEqual([]);
});

test("a call whose time is up rejects, and its job is cancelled", async () => {
  const clock = virtualClock();
  const fake = await fakeBigQuery((request) => (isForResults(request) ? never() : undefined));
  const store = storeOn(fake, { clock, timeout: { read: 500 } });
  const reading = rejectionOf(store.lookUp("order-1", "event1"));
  const { path } = await fake.received(isForResults);

  await clock.advance(500);

  expect(await reading).toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  expect((await fake.received(isCancel)).path).toBe(`jobs/${path.replace("queries/", "")}/cancel`);
});

test("a call that is aborted while its job runs rejects with the reason, and the job is cancelled", async () => {
  const fake = await fakeBigQuery((request) => (isForResults(request) ? never() : undefined));
  const controller = new AbortController();
  const reason = new Error("given up");
  const writing = storeOn(fake).persist(event, { signal: controller.signal });
  await fake.received(isForResults);

  controller.abort(reason);

  await expect(writing).rejects.toBe(reason);
  await fake.received(isCancel);
});

test("a call that is aborted before its job was begun has the job cancelled as soon as that is there", async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const fake = await fakeBigQuery(async (request) => {
    if (isNewJob(request)) await promise;
    return { json: { jobReference: request.body.jobReference, status: { state: "RUNNING" } } };
  });
  const controller = new AbortController();
  const writing = storeOn(fake).persist(event, { signal: controller.signal });
  await fake.received(isNewJob);

  controller.abort("given up");
  await expect(writing).rejects.toBe("given up");
  resolve(undefined);

  await fake.received(isCancel);
  expect(fake.requests.filter(isForResults)).toEqual([]);
});

test("that a job could not be cancelled is told to the log", async () => {
  const debug = vi.fn<(fields: object, text: string) => void>();
  const fake = await fakeBigQuery((request) =>
    isCancel(request) ? refusal(404, "notFound") : isForResults(request) ? never() : undefined,
  );
  const silent = (): void => undefined;
  const controller = new AbortController();
  const logger = { debug, info: silent, warn: silent, error: silent };
  const writing = storeOn(fake, { logger }).persist(event, { signal: controller.signal });
  await fake.received(isForResults);

  controller.abort("given up");
  await expect(writing).rejects.toBe("given up");

  await vi.waitFor(() => expect(debug).toHaveBeenCalledWith(expect.objectContaining({ jobId: expect.any(String) }), expect.any(String)));
});

function storeOn(fake: FakeBigQuery, options: Partial<BigQueryEventStoreOptions> = {}): ReturnType<typeof bigQueryEventStore> {
  return bigQueryEventStore({ dataset: "orders", table: "events", bigquery: fake.client(), ...options });
}

async function rejectionOf(call: Promise<unknown>): Promise<Error & { readonly code: string }> {
  const [outcome] = await Promise.allSettled([call]);
  if (outcome.status === "rejected" && isEventDriverError(outcome.reason)) return outcome.reason;
  throw new Error("the call was not rejected with one of our errors", { cause: outcome });
}
