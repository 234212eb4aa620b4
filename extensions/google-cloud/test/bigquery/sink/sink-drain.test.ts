import { expect, test } from "vitest";

import { deliver, everythingStored, order, outage, setUp, sinkOn } from "./fake-writer.ts";
import { outcomeOf } from "./send.ts";

test("flush sends what waits and resolves when it has its outcome, also when that is a failure", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock });
  const outcomes = ["1", "2"].map((id) => outcomeOf(deliver(sink, order(id))));
  await clock.advance(0);
  let flushed = false;

  const flushing = sink.flush().then(() => (flushed = true));
  await clock.advance(0);
  expect([writer.requests, flushed]).toEqual([[["1", "2"]], false]);
  writer.pending[0]?.answer({ status: "refused", refused: [{ index: 0, problem: "column id" }] });
  await clock.advance(0);
  writer.pending[1]?.answer(everythingStored);
  await flushing;

  expect(await Promise.all(outcomes)).toMatchObject([{ code: "ERR_ROW_REFUSED" }, "stored"]);
});

test("flush and close hold for a message that has come just before", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock, batch: { wait: 60_000 } });

  const first = deliver(sink, order("1"));
  await sink.flush();
  await first;
  const second = deliver(sink, order("2"));
  await sink.close();
  await second;

  expect(writer.requests).toEqual([["1"], ["2"]]);
  expect(clock.now()).toBe(0);
});

test("close stores what waits, refuses what comes later and closes the writer once", async () => {
  const { clock, writer } = setUp(everythingStored);
  const sink = sinkOn(writer, { clock });
  const sent = deliver(sink, order("1"));
  await clock.advance(0);

  await Promise.all([sink.close(), sink.close()]);

  await sent;
  expect(writer.requests).toEqual([["1"]]);
  expect(writer.closed).toBe(1);
  expect(await outcomeOf(deliver(sink, order("2")))).toMatchObject({ code: "ERR_SINK_CLOSED", retryable: true });
  expect(clock.pending).toBe(0);
});

test("close also stores the message for which the table is still being read", async () => {
  const { clock, writer } = setUp(everythingStored);
  const opened = Promise.withResolvers<void>();
  writer.opened = () => opened.promise;
  const sink = sinkOn(writer, { clock });
  const sent = deliver(sink, order("1"));

  const closing = sink.close();
  opened.resolve();
  await clock.advance(100);
  await Promise.all([sent, closing]);

  expect(writer.requests).toEqual([["1"]]);
});

test("close waits no longer than it may, and what has no answer then fails retryably", async () => {
  const { clock, writer } = setUp();
  const sink = sinkOn(writer, { clock, batch: { rows: 1 }, maxInFlight: 1, closeTimeout: 5_000 });
  const outcomes = ["1", "2"].map((id) => outcomeOf(deliver(sink, order(id))));
  await clock.advance(0);
  const closing = sink.close();

  await clock.advance(4_999);
  expect(writer.closed).toBe(0);
  await clock.advance(1);
  await closing;

  expect(await Promise.all(outcomes)).toMatchObject([{ code: "ERR_SINK_CLOSED" }, { code: "ERR_SINK_CLOSED", retryable: true }]);
  writer.pending[0]?.answer(outage);
  await clock.advance(60_000);
  expect(writer.requests).toEqual([["1"]]);
  expect(clock.pending).toBe(0);
});
