import { getEventListeners } from "node:events";
import { expect, test } from "vitest";

import type { Context, Logger } from "../src/context.ts";
import type { SweepReport } from "../src/pipeline/handler.ts";

import { matchAll } from "../src/handlers/joiner/condition.ts";
import { joiner } from "../src/handlers/joiner/joiner.ts";
import { pipeline } from "../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../src/stores/memory-event-store.ts";
import { startSweeping, type SweepingOptions } from "../src/sweeping.ts";
import { virtualClock } from "../src/testing/virtual-clock.ts";
import { deliver, event } from "./claims/deliver.ts";

const nothingDue: SweepReport = { finished: 0, errors: [], more: false };

test("a pipeline is swept again and again, with a pause between half and one and a half of what was asked for", async () => {
  const random = [0, 0.5, 0.999];
  const { clock, sweeps } = start({ every: 1_000, random: () => random.shift() ?? 0.5 });

  await clock.advance(5_000);

  expect(sweeps.slice(0, 4)).toEqual([500, 1_500, 2_999, 3_999]);
});

test("unless told otherwise it is swept every five seconds on average", async () => {
  const { clock, sweeps } = start({ random: () => 0.5 });

  await clock.advance(20_000);

  expect(sweeps).toEqual([5_000, 10_000, 15_000, 20_000]);
});

test("when there is more to do it is swept again at once", async () => {
  const more = { finished: 1, errors: [], more: true };
  const reports = [more, more, nothingDue];
  const { clock, sweeps } = start({}, async () => reports.shift() ?? nothingDue);

  await clock.advance(2_000);

  expect(sweeps).toEqual([1_000, 1_000, 1_000, 2_000]);
});

test("when nothing of a full page could be finished, it is swept again only after a pause", async () => {
  const { clock, sweeps } = start({}, async () => ({ ...nothingDue, more: true }));

  await clock.advance(2_000);

  expect(sweeps).toEqual([1_000, 2_000]);
});

test("when there is more to do but something failed, it is swept again only after a pause", async () => {
  const { clock, sweeps } = start({}, async () => ({ finished: 1, errors: [new Error("sink down")], more: true }));

  await clock.advance(3_000);

  expect(sweeps).toEqual([1_000, 2_000, 3_000]);
});

test("each error of a sweep is logged, and sweeping goes on", async () => {
  const logged: object[] = [];
  const down = new Error("sink down");
  const { clock, sweeps } = start({ logger: errorsTo(logged) }, async () => ({ ...nothingDue, errors: [down, "odd"] }));

  await clock.advance(2_000);

  expect(logged).toEqual([{ err: down }, { err: "odd" }, { err: down }, { err: "odd" }]);
  expect(sweeps).toHaveLength(2);
});

test("a sweep that throws is logged, and sweeping goes on", async () => {
  const logged: object[] = [];
  const down = new Error("store down");
  const { clock, sweeps } = start({ logger: errorsTo(logged) }, () => Promise.reject(down));

  await clock.advance(2_000);

  expect(logged).toEqual([{ err: down }, { err: down }]);
  expect(sweeps).toHaveLength(2);
});

test("two sweeps never run at once", async () => {
  const slow = Promise.withResolvers<SweepReport>();
  const { clock, sweeps } = start({}, () => slow.promise);

  await clock.advance(60_000);

  expect(sweeps).toEqual([1_000]);
});

test("stop waits for the sweep that is running, which is not aborted, and starts no further one", async () => {
  const slow = Promise.withResolvers<SweepReport>();
  let seen: Context | undefined;
  const { clock, sweeps, sweeping } = start({}, (ctx) => {
    seen = ctx;
    return slow.promise;
  });
  await clock.advance(1_000);
  let stopped = false;
  const stopping = sweeping.stop().then(() => (stopped = true));
  await clock.advance(10_000);
  const stoppedBefore = stopped;

  slow.resolve({ ...nothingDue, more: true });
  await stopping;
  await clock.advance(10_000);

  expect(stoppedBefore).toBe(false);
  expect(seen?.signal.aborted).toBe(false);
  expect(sweeps).toHaveLength(1);
});

test("stop between two sweeps resolves at once and leaves no timer", async () => {
  const { clock, sweeping } = start({});

  await sweeping.stop();

  expect(clock.pending).toBe(0);
});

test("aborting the signal aborts the sweep that is running, with its reason, and ends the sweeping", async () => {
  const owner = new AbortController();
  const reason = new Error("shutting down");
  const logged: object[] = [];
  const { clock, sweeps, sweeping } = start({ signal: owner.signal, logger: errorsTo(logged) }, (ctx) => rejectionOf(ctx.signal));
  await clock.advance(1_000);

  owner.abort(reason);
  await sweeping.stop();
  await clock.advance(10_000);

  expect(logged).toEqual([{ err: reason }]);
  expect(sweeps).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test("with a signal that is aborted already nothing is swept", async () => {
  const { clock, sweeps } = start({ signal: AbortSignal.abort() });

  await clock.advance(10_000);

  expect(sweeps).toEqual([]);
});

test("sweeps leave nothing behind on a signal that outlives them", async () => {
  const clock = virtualClock();
  const owner = new AbortController();
  const orders = pipeline()
    .use(
      joiner({
        store: memoryEventStore({ clock }),
        condition: matchAll("event1", "event2"),
        window: { size: 100 },
        onTimeout: async (ctx) => ctx.signal.throwIfAborted(),
      }),
    )
    .use(async (ctx) => ctx.signal.throwIfAborted());
  const sweeping = startSweeping(orders, { every: 1_000, clock, random: () => 0.5, signal: owner.signal });
  const counts: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    await deliver(orders, clock, event("event1", { key: `order-${round}` }));
    await clock.advance(1_000);
    counts.push(getEventListeners(owner.signal, "abort").length);
  }

  await sweeping.stop();

  expect(new Set(counts).size).toBe(1);
});

test("a pause of nothing is refused", () => {
  expect(() => startSweeping({ sweep: async () => nothingDue }, { every: 0 })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: "startSweeping: every is 0, allowed is milliseconds above 0" }),
  );
});

/** Sweeps something every second, and notes when. */
function start(options: SweepingOptions, sweep: (ctx: Context) => Promise<SweepReport> = async () => nothingDue) {
  const clock = virtualClock();
  const sweeps: number[] = [];
  const swept = {
    sweep(ctx?: Context) {
      sweeps.push(clock.now());
      if (ctx === undefined) throw new Error("it was given no context");
      return sweep(ctx);
    },
  };
  const sweeping = startSweeping(swept, { ...(options.random === undefined && { every: 1_000, random: () => 0.5 }), ...options, clock });
  return { clock, sweeps, sweeping };
}

function errorsTo(logged: object[]): Logger {
  return { debug() {}, info() {}, warn() {}, error: (fields) => void logged.push(fields) };
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
