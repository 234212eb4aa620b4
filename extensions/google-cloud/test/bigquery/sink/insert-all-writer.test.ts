import { createMessage, identityOf } from "event-driver";
import { virtualClock, type VirtualClock } from "event-driver/testing";
import { expect, test } from "vitest";

import type { InsertAllRow, InsertApi } from "../../../src/bigquery/sink/insert-all/insert-api.ts";
import type { Answer } from "../../../src/bigquery/sink/row-writer.ts";

import { InsertAllWriter } from "../../../src/bigquery/sink/insert-all/insert-all-writer.ts";

const message = createMessage({ id: "7", key: "order-1", source: "orders", origin: "urn:shop", content: "{}" });

test("a row goes out with the identity of its message as its insert id", async () => {
  const { writer, sent } = await setUp();

  const answer = await writer.append([writer.encode({ id: "a" }, message)]);

  expect(answer).toEqual({ status: "stored", refused: [] });
  expect(sent).toEqual([[{ insertId: identityOf(message), json: { id: "a" } }]]);
});

test("an identity that is too long for an insert id is hashed, and two such messages differ", async () => {
  const { writer, sent } = await setUp();
  const long = "x".repeat(200);

  await writer.append([`${long}1`, `${long}2`, `${long}1`].map((id) => writer.encode({ id: "a" }, { ...message, id })));

  const ids = sent[0]?.map(({ insertId }) => insertId) ?? [];
  expect(ids.every((id) => id.length <= 128)).toBe(true);
  expect(ids[0]).toBe(ids[2]);
  expect(ids[0]).not.toBe(ids[1]);
});

test("what a row counts is the size of its JSON, with characters of several bytes", async () => {
  const { writer } = await setUp();

  const { bytes } = writer.encode({ id: "ü" }, message);

  expect(bytes).toBe(Buffer.byteLength(JSON.stringify({ insertId: identityOf(message), json: { id: "ü" } })));
});

test.each<[string, unknown, Answer["status"], object]>([
  [
    "invalid rows are refused by the name of their column, and the others are stored",
    partialFailure([{ index: 1, errors: [{ reason: "invalid", location: "id", message: "bad value secret" }] }]),
    "stored",
    { refused: [{ index: 1, problem: "column id" }] },
  ],
  [
    "an invalid row of which no column is named is refused all the same",
    partialFailure([{ index: 0, errors: [{ reason: "stopped" }, { reason: "invalid", message: "secret" }] }]),
    "stored",
    { refused: [{ index: 0, problem: "a column that it does not name" }] },
  ],
  [
    "rows that failed for another reason are sent again with the others",
    partialFailure([
      { index: 0, errors: [{ reason: "invalid" }] },
      { index: 1, errors: [{ reason: "backendError" }] },
    ]),
    "failed",
    { passing: true },
  ],
  ["a request that is too large is taken apart", apiError(413), "unreadable", {}],
  ["a request that is malformed is taken apart", apiError(400), "unreadable", { problem: "answered 400" }],
  ["a missing table does not come by itself", apiError(404, "notFound"), "failed", { passing: false, problem: "answered 404" }],
  ["access that is refused is not granted by itself", apiError(403, "accessDenied"), "failed", { passing: false }],
  ["a quota passes, though it has the same status", apiError(403, "rateLimitExceeded"), "failed", { passing: true }],
  ["too many requests pass", apiError(429), "failed", { passing: true }],
  ["an outage passes", apiError(503), "failed", { passing: true }],
  [
    "a broken connection passes",
    Object.assign(new Error("broken"), { code: "ECONNRESET" }),
    "failed",
    { passing: true, problem: "gave no answer" },
  ],
])("%s", async (_title, failure, status, expected) => {
  const { writer } = await setUp(() => Promise.reject(failure));

  const answer = await writer.append([writer.encode({ id: "a" }, message), writer.encode({ id: "b" }, message)]);

  expect(answer).toMatchObject({ status, ...expected });
  expect(JSON.stringify(answer.status === "stored" ? answer : {})).not.toContain("secret");
});

test("an answer that does not come in time fails the request", async () => {
  const { writer, clock } = await setUp(() => new Promise(() => {}));
  const answer = writer.append([writer.encode({ id: "a" }, message)]);

  await clock.advance(1_000);

  expect(await answer).toMatchObject({ status: "failed", passing: true, problem: "gave no answer", cause: { code: "ERR_TIMEOUT" } });
});

test("the table is read once, and again after a failure that does not pass", async () => {
  let insert: () => Promise<unknown> = () => Promise.resolve();
  const { writer, reads } = await setUp(() => insert());
  await writer.open();
  expect(reads()).toBe(1);

  insert = () => Promise.reject(apiError(404, "notFound"));
  await writer.append([writer.encode({ id: "a" }, message)]);
  await Promise.all([writer.open(), writer.open()]);

  expect(reads()).toBe(2);
});

interface SetUp {
  readonly writer: InsertAllWriter;
  readonly clock: VirtualClock;
  readonly sent: (readonly InsertAllRow[])[];
  readonly reads: () => number;
}

async function setUp(insert: () => Promise<unknown> = () => Promise.resolve()): Promise<SetUp> {
  const clock = virtualClock();
  const sent: (readonly InsertAllRow[])[] = [];
  let reads = 0;
  const api: InsertApi = {
    async readFields() {
      reads += 1;
      return [{ name: "id", type: "STRING" }];
    },
    insert(rows) {
      sent.push(rows);
      return insert();
    },
  };
  const writer = new InsertAllWriter({ openApi: async () => api, clock, timeout: 1_000 });
  await writer.open();
  return { writer, clock, sent, reads: () => reads };
}

/** As the client rejects when some rows of a request failed. */
function partialFailure(insertErrors: readonly object[]): Error {
  return Object.assign(new Error("A failure occurred during this request."), { name: "PartialFailureError", response: { insertErrors } });
}

function apiError(code: number, reason = "other"): Error {
  return Object.assign(new Error("why"), { code, errors: [{ reason }] });
}
