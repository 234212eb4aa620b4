import { expect, test } from "vitest";

import { createContext } from "../../../src/context.ts";
import { TerminalError } from "../../../src/errors.ts";
import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { joiner, type JoinerOptions } from "../../../src/handlers/joiner/joiner.ts";
import type { JoinFailure } from "../../../src/handlers/joiner/sweep.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { event } from "../../claims/deliver.ts";
import { parkingLot } from "../../claims/parking-lot.ts";
import { workerOn } from "../../claims/worker.ts";
import { type Handle, type JoinProcess, joinOn, never, setUp, type Setting } from "./joins.ts";

const noSuchCustomer = new TerminalError("no such customer");

test("a sweep with nothing due does nothing and says so", async () => {
  const process = joinOn(setUp());
  await process.deliver(event("event1"));

  const report = await process.sweep();

  expect(report).toEqual({ finished: 0, errors: [], more: false });
});

test("a sweep takes on at most its limit, and says when there may be more", async () => {
  const { process } = await abandoned(5, { sweepLimit: 2 });

  const reports = [await process.sweep(), await process.sweep(), await process.sweep()];

  expect(reports.map(({ finished, more }) => ({ finished, more }))).toEqual([
    { finished: 2, more: true },
    { finished: 2, more: true },
    { finished: 1, more: false },
  ]);
  expect(process.emitted).toHaveLength(5);
});

test("an entry that fails is reported and does not keep the sweep from the others", async () => {
  const down = new Error("sink down");
  const { process } = await abandoned(3, {}, (_ctx, { key }) => (key === "order-2" ? Promise.reject(down) : undefined));

  const report = await process.sweep();

  expect(report).toMatchObject({ finished: 2, errors: [{ cause: down }] });
  expect(process.emitted.map(({ key }) => key)).toEqual(["order-1", "order-2", "order-3"]);
});

test("a sweep that is aborted does not look at further entries", async () => {
  const sweeper = new AbortController();
  const { process } = await abandoned(3, {}, () => sweeper.abort(new Error("shutting down")));
  const before = process.calls.length;

  await process.sweep({ signal: sweeper.signal });

  expect(new Set(process.calls.slice(before).map(({ key }) => key))).toEqual(new Set([undefined, "order-1"]));
});

test("an emission that fails for good in a sweep goes to onFailure, once", async () => {
  const failures: JoinFailure[] = [];
  const { setting, process } = await abandoned(1, { onFailure: (_ctx, failure) => void failures.push(failure) }, () =>
    Promise.reject(noSuchCustomer),
  );

  const report = await process.sweep();
  await setting.clock.advance(10_000);
  await process.sweep();

  expect(report).toEqual({ finished: 1, errors: [], more: false });
  expect(failures).toMatchObject([
    {
      key: "order-1",
      message: { source: "composed-event", content: '{"event1":{},"event2":{}}' },
      error: { code: "ERR_TERMINAL", message: expect.stringContaining("no such customer") },
    },
  ]);
});

test("onFailure that fails is told again by a later sweep", async () => {
  let calls = 0;
  const onFailure = (): void => {
    calls += 1;
    if (calls === 1) throw new Error("operators are away");
  };
  const { setting, process } = await abandoned(1, { onFailure }, () => Promise.reject(noSuchCustomer));

  const failing = await process.sweep();
  await setting.clock.advance(10_000);
  const succeeding = await process.sweep();

  expect(failing).toMatchObject({ finished: 0, errors: [{ message: "operators are away" }] });
  expect(succeeding).toEqual({ finished: 1, errors: [], more: false });
  expect(process.emitted).toHaveLength(1);
});

test("where a dead letter stands in front, a failure in a sweep is put aside there, once", async () => {
  const { setting } = await abandoned(1);
  const lot = parkingLot();
  const orders = pipeline()
    .use(lot)
    .use(joiner({ store: workerOn(setting.store).store, condition: matchAll("event1", "event2") }))
    .use(() => Promise.reject(noSuchCustomer));

  await orders.sweep(createContext({ clock: setting.clock }));
  await setting.clock.advance(10_000);
  const report = await orders.sweep(createContext({ clock: setting.clock }));

  expect(report).toEqual({ finished: 0, errors: [], more: false });
  expect(lot.parked).toMatchObject([{ message: { source: "composed-event", key: "order-1" }, error: { code: "ERR_TERMINAL" } }]);
});

test("a failure with no place to go is an error of each sweep that is due to tell it", async () => {
  const { setting, process } = await abandoned(1, {}, () => Promise.reject(noSuchCustomer));

  const first = await process.sweep();
  const atOnce = await process.sweep();
  await setting.clock.advance(10_000);
  const later = await process.sweep();

  expect(first.errors).toMatchObject([{ code: "ERR_TERMINAL", retryable: false }]);
  expect(atOnce.errors).toEqual([]);
  expect(later.errors).toMatchObject([{ code: "ERR_TERMINAL", retryable: false }]);
});

test("failures with no place to go do not keep sweeps from what is behind them", async () => {
  const { setting, process } = await abandoned(2, { sweepLimit: 2 }, (_ctx, { key }) =>
    key === "order-3" ? undefined : Promise.reject(noSuchCustomer),
  );
  await process.sweep();
  await abandon(setting, "order-3");
  await setting.clock.advance(10_000);

  const reports = [await process.sweep(), await process.sweep()];

  expect(reports.map(({ finished, errors }) => [finished, errors.length])).toEqual([
    [0, 2],
    [1, 0],
  ]);
});

test("what crashes every process that emits it ends in a sweep as crashed", async () => {
  const failures: JoinFailure[] = [];
  const { setting } = await abandoned(1);
  for (let crash = 0; crash < 2; crash += 1) {
    const dying = joinOn(setting, {}, never);
    void dying.sweep();
    await setting.clock.advance(0);
    dying.crash();
    await setting.clock.advance(10_000);
  }
  const last = joinOn(setting, { maxAttempts: 3, onFailure: (_ctx, failure) => void failures.push(failure) });

  const report = await last.sweep();

  expect(report).toEqual({ finished: 1, errors: [], more: false });
  expect(failures).toMatchObject([{ key: "order-1", error: { code: "ERR_CRASHED", message: expect.stringContaining("begun 3 times") } }]);
  expect(last.emitted).toEqual([]);
});

test("a sweep leaves alone an emission whose owner goes on renewing it", async () => {
  const setting = setUp();
  const slow = joinOn(setting, {}, never);
  const other = joinOn(setting);
  await slow.deliver(event("event1"));
  void slow.deliver(event("event2"));
  await setting.clock.advance(60_000);

  const report = await other.sweep();

  expect(report.finished).toBe(0);
  expect(other.emitted).toEqual([]);
});

/** So many joins whose emission was begun by a process that then died, a lease ago; and the process that is left. */
async function abandoned(
  count: number,
  options: Partial<JoinerOptions> = {},
  handle?: Handle,
): Promise<{ readonly setting: Setting; readonly process: JoinProcess }> {
  const setting = setUp();
  for (let order = 1; order <= count; order += 1) await abandon(setting, `order-${order}`);
  await setting.clock.advance(10_000);
  return { setting, process: joinOn(setting, options, handle) };
}

/** A process begins the emission of a join and dies. */
async function abandon(setting: Setting, key: string): Promise<void> {
  const dying = joinOn(setting, {}, never);
  await dying.deliver(event("event1", { key }));
  void dying.deliver(event("event2", { key }));
  await setting.clock.advance(1);
  dying.crash();
}
