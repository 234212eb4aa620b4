import { createContext, pipeline } from "event-driver";
import { expect, test } from "vitest";

import { deliver, everythingStored, order, outage, setUp, sinkOn } from "./fake-writer.ts";
import { outcomeOf } from "./send.ts";

test("a message goes on only when its row is stored", async () => {
  const { clock, writer } = setUp();
  const events: string[] = [];
  const sink = sinkOn(writer, { clock, batch: { rows: 1 } });
  const run = pipeline()
    .use(sink)
    .use(async () => void events.push("behind the sink"))
    .process(createContext(), order("1"));

  await clock.advance(0);
  events.push("answered");
  writer.pending[0]?.answer(everythingStored);
  await run;

  expect(events).toEqual(["answered", "behind the sink"]);
});

test("rows are sent together as soon as there are enough of them", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { rows: 3, wait: 1_000 } });

  await Promise.all(["1", "2", "3", "4"].slice(0, 3).map((id) => deliver(sink, order(id))));

  expect(writer.requests).toEqual([["1", "2", "3"]]);
  expect(clock.now()).toBe(0);
});

test("rows are sent together as soon as they have enough bytes, and never more than that but for a single row", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { bytes: 25, wait: 1_000 } });

  const sent = ["1", "2", "3"].map((id) => deliver(sink, order(id)));
  await clock.advance(0);
  expect(writer.requests).toEqual([["1", "2"]]);
  await deliver(sink, order("large", "x".repeat(30)));
  await Promise.all(sent);

  expect(writer.requests).toEqual([["1", "2"], ["3"], ["large"]]);
});

test("a row waits no longer than it may, counted from its own arrival", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { wait: 100 } });
  const first = deliver(sink, order("1"));
  await clock.advance(60);
  const second = deliver(sink, order("2"));

  await clock.advance(39);
  expect(writer.requests).toEqual([]);
  await clock.advance(1);

  await Promise.all([first, second]);
  expect(writer.requests).toEqual([["1", "2"]]);
});

test("rows that were made for different shapes of the table are not sent together", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { rows: 3 } });

  await Promise.all([
    deliver(sink, order("1", "a", "old")),
    deliver(sink, order("2", "a", "old")),
    deliver(sink, order("3", "a", "new")),
    clock.advance(100),
  ]);

  expect(writer.requests).toEqual([["1", "2"], ["3"]]);
});

test("no more requests are on their way than allowed, and the next leaves when one is answered", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, maxInFlight: 2 });
  const sent = ["1", "2", "3"].map((id) => deliver(sink, order(id)));
  await clock.advance(0);
  expect(writer.requests).toEqual([["1"], ["2"]]);

  writer.pending[1]?.answer(everythingStored);
  await sent[1];
  await clock.advance(0);
  expect(writer.requests).toEqual([["1"], ["2"], ["3"]]);

  for (const request of writer.pending) request.answer(everythingStored);
  await Promise.all(sent);
});

test("a row that BigQuery refuses fails its own message for good, and the others of the batch are stored", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 3 } });
  const [first, second, third] = ["1", "2", "3"].map((id) => outcomeOf(deliver(sink, order(id))));
  await clock.advance(0);

  writer.pending[0]?.answer({ status: "refused", refused: [{ index: 1, problem: "column total" }] });
  await clock.advance(0);
  expect(writer.requests).toEqual([
    ["1", "2", "3"],
    ["1", "3"],
  ]);
  writer.pending[1]?.answer(everythingStored);

  expect([await first, await third]).toEqual(["stored", "stored"]);
  expect(await second).toMatchObject({ code: "ERR_ROW_REFUSED", retryable: false });
  expect(String(await second)).toContain('message "2" cannot be stored in "shop.orders": BigQuery does not take the value of column total');
});

test("refused rows of an answer by which the others are stored are not sent again", async () => {
  const { clock, writer } = setUp({ status: "stored", refused: [{ index: 0, problem: "column total" }] });
  const sink = sinkOn(writer, { clock, batch: { rows: 2 } });

  const outcomes = await Promise.all(["1", "2"].map((id) => outcomeOf(deliver(sink, order(id)))));

  expect(outcomes).toMatchObject([{ code: "ERR_ROW_REFUSED" }, "stored"]);
  expect(writer.requests).toHaveLength(1);
});

test("a request that fails for a reason that passes is sent again, with growing pauses", async () => {
  const { clock, writer } = setUp();
  writer.respond = (_ids, nth) => (nth < 4 ? outage : everythingStored);
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, retry: { maxAttempts: 4, baseDelay: 100, maxDelay: 300 } });
  const sent = deliver(sink, order("1"));

  const requestsAfter: number[] = [];
  for (const pause of [99, 1, 199, 1, 299, 1]) {
    await clock.advance(pause);
    requestsAfter.push(writer.requests.length);
  }

  await sent;
  expect(requestsAfter).toEqual([1, 2, 2, 3, 3, 4]);
});

test("rows whose request failed to the last attempt fail retryably, with what BigQuery said as the cause", async () => {
  const { clock, writer } = setUp(outage);
  const sink = sinkOn(writer, { clock, batch: { rows: 2 }, retry: { maxAttempts: 2, baseDelay: 100 } });
  const outcomes = ["1", "2"].map((id) => outcomeOf(deliver(sink, order(id))));

  await clock.advance(100);

  for (const outcome of await Promise.all(outcomes)) {
    expect(outcome).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, cause: { message: "down" } });
    expect(String(outcome)).toContain('answered UNAVAILABLE for "shop.orders", at the last of 2 attempts');
  }
  expect(writer.requests).toHaveLength(2);
});

test("a failure that does not pass is not tried again here, for whoever delivers can wait better", async () => {
  const { clock, writer } = setUp({ status: "failed", passing: false, problem: "answered PERMISSION_DENIED", cause: undefined });
  const sink = sinkOn(writer, { clock, batch: { rows: 1 } });

  expect(await outcomeOf(deliver(sink, order("1")))).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
  expect(writer.requests).toHaveLength(1);
});

test("a row that makes its request unreadable fails alone", async () => {
  const { clock, writer } = setUp();
  writer.respond = (ids) =>
    ids.includes("3") ? { status: "unreadable", problem: "answered INVALID_ARGUMENT", cause: undefined } : everythingStored;
  const sink = sinkOn(writer, { clock, batch: { rows: 5 } });

  const outcomes = await Promise.all(["1", "2", "3", "4", "5"].map((id) => outcomeOf(deliver(sink, order(id)))));

  expect(outcomes).toMatchObject(["stored", "stored", { code: "ERR_SINK_FAILED", retryable: true }, "stored", "stored"]);
});

test("beyond the rows of the buffer a message fails retryably, and when some are stored there is room again", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, buffer: { rows: 2 }, maxInFlight: 1 });
  const sent = ["1", "2"].map((id) => deliver(sink, order(id)));
  await clock.advance(0);

  expect(await outcomeOf(deliver(sink, order("3")))).toMatchObject({ code: "ERR_OVERLOADED", retryable: true, retryAfter: 1_000 });
  writer.respond = () => everythingStored;
  writer.pending[0]?.answer(everythingStored);
  await Promise.all(sent);

  expect(await outcomeOf(deliver(sink, order("4")))).toBe("stored");
});

test("beyond the bytes of the buffer a message fails retryably, and one that could never fit fails for good", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { bytes: 50 }, buffer: { bytes: 100 } });
  const first = deliver(sink, order("1", "x".repeat(95)));
  await clock.advance(0);

  expect(await outcomeOf(deliver(sink, order("2")))).toMatchObject({ code: "ERR_OVERLOADED" });
  expect(await outcomeOf(deliver(sink, order("3", "x".repeat(101))))).toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });

  writer.pending[0]?.answer(everythingStored);
  await first;
});

test("while the server is silent, no more than the buffer is held, however many messages come", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 10 }, buffer: { rows: 50 }, maxInFlight: 2 });

  const outcomes = Array.from({ length: 500 }, (_, index) => outcomeOf(deliver(sink, order(String(index)))));
  await clock.advance(1_000);

  expect(writer.requests.flat()).toHaveLength(20);
  writer.respond = () => everythingStored;
  for (const request of writer.pending) request.answer(everythingStored);
  await clock.advance(1_000);
  const settled = await Promise.all(outcomes);
  expect(settled.filter((outcome) => outcome === "stored")).toHaveLength(50);
  expect(new Set(writer.requests.flat())).toHaveProperty("size", 50);
});

test("messages that wait for the table to be read count against the buffer too", async () => {
  const { clock, writer } = setUp(everythingStored);
  const opened = Promise.withResolvers<void>();
  writer.opened = () => opened.promise;
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, buffer: { rows: 1 } });
  const first = deliver(sink, order("1"));

  expect(await outcomeOf(deliver(sink, order("2")))).toMatchObject({ code: "ERR_OVERLOADED" });
  opened.resolve();
  await first;
});

test("a message that is given up before its row was sent is never stored", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock });
  const controller = new AbortController();
  const outcome = outcomeOf(deliver(sink, order("1"), controller.signal));
  await clock.advance(50);

  controller.abort(new Error("the caller has gone"));

  expect(String(await outcome)).toContain("the caller has gone");
  await clock.advance(1_000);
  expect(writer.requests).toEqual([]);
});

test("a message that is given up while its row is on the way rejects at once, and its place is free when the answer has come", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, buffer: { rows: 1 } });
  const controller = new AbortController();
  const outcome = outcomeOf(deliver(sink, order("1"), controller.signal));
  await clock.advance(0);

  controller.abort(new Error("the caller has gone"));

  expect(String(await outcome)).toContain("the caller has gone");
  expect(await outcomeOf(deliver(sink, order("2")))).toMatchObject({ code: "ERR_OVERLOADED" });
  writer.pending[0]?.answer(everythingStored);
  await clock.advance(0);
  writer.respond = () => everythingStored;
  expect(await outcomeOf(deliver(sink, order("3")))).toBe("stored");
});

test("a message that is given up before it comes, or while the table is read, is not stored", async () => {
  const { clock, writer } = setUp(everythingStored);
  writer.opened = () => new Promise(() => {});
  const sink = sinkOn(writer, { clock });
  const controller = new AbortController();
  const outcome = outcomeOf(sink.process(createContext({ signal: controller.signal }), order("1"), async () => {}));

  controller.abort(new Error("the caller has gone"));

  expect(String(await outcome)).toContain("the caller has gone");
  expect(String(await outcomeOf(sink.process(createContext({ signal: controller.signal }), order("2"), async () => {})))).toContain("gone");
});

test("the deadline of a pipeline ends the wait for the row", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock });
  const outcome = outcomeOf(pipeline({ deadline: 40 }).use(sink).process(createContext({ clock }), order("1")));

  await clock.advance(40);

  expect(await outcome).toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
  await clock.advance(1_000);
  expect(writer.requests).toEqual([]);
});

test("a row that does not fit the table fails its message for good and is not sent", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock }, () => ({ misfit: true }));

  const outcome = await outcomeOf(deliver(sink, order("1")));

  expect(outcome).toMatchObject({ code: "ERR_ROW_REFUSED", retryable: false });
  expect(String(outcome)).toContain("column total is of type NUMERIC");
  expect(writer.requests).toEqual([]);
});

test("what toRow throws fails the message as it is", async () => {
  const { clock, writer } = setUp(everythingStored);
  const thrown = new Error("no such customer");
  const sink = sinkOn(writer, { clock }, () => {
    throw thrown;
  });

  await expect(deliver(sink, order("1"))).rejects.toMatchObject({ cause: thrown });
});

test("a table that cannot be read fails the message retryably and the check, and the next message tries again", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { rows: 1 } });
  writer.opened = () => Promise.reject(new Error("not found"));

  expect(await outcomeOf(sink.check())).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, cause: { message: "not found" } });
  expect(await outcomeOf(deliver(sink, order("1")))).toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
  writer.opened = () => Promise.resolve();

  expect(await outcomeOf(deliver(sink, order("1")))).toBe("stored");
});

test.each([
  [5, "create the dataset and the table"],
  [403, "grant the account roles/bigquery.dataEditor"],
  [16, "give credentials"],
  ["ERR_MODULE_NOT_FOUND", "npm install @google-cloud/bigquery-storage"],
  ["ECONNREFUSED", "see the cause"],
])("a table that cannot be read because of %s is told with what to do", async (code, advice) => {
  const { clock, writer } = setUp();
  writer.opened = () => Promise.reject(Object.assign(new Error("why"), { code }));

  await expect(sinkOn(writer, { clock }).check()).rejects.toThrow(`bigQuerySink cannot read the columns of "shop.orders": ${advice}`);
});
