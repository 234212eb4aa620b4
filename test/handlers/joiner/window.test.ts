import { expect, test } from "vitest";

import type { JoinTimeout } from "../../../src/handlers/joiner/join.ts";
import type { JoinerOptions } from "../../../src/handlers/joiner/joiner.ts";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { event, failureOf } from "../../claims/deliver.ts";
import { writesClaim } from "../../claims/worker.ts";
import { entriesOf, joinOn, never, noon, setUp } from "./joins.ts";

const window = { size: 60_000 };
const one = event("event1", { time: "2024-05-01T10:00:00Z" });
const two = event("event2");

test("a window that is over is ended by a sweep, with no further message", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await setting.clock.advance(60_000);

  const report = await process.sweep();

  expect(report).toEqual({ finished: 1, errors: [], more: false });
  expect(timeouts).toMatchObject([
    {
      key: "order-1",
      present: ["event1"],
      missing: ["event2"],
      message: { source: "composed-event", key: "order-1", time: "2024-05-01T10:00:00Z", content: '{"event1":{}}' },
    },
  ]);
  expect(process.emitted).toEqual([]);
});

test("a window is ended by the sweep of another process", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  process.crash();
  await setting.clock.advance(60_000);

  await joinOn(setting, { window, onTimeout: async (_ctx, timeout) => void timeouts.push(timeout) }).sweep();

  expect(timeouts).toHaveLength(1);
});

test("a window is not ended a millisecond early", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await setting.clock.advance(59_999);

  const report = await process.sweep();

  expect(report.finished).toBe(0);
  expect(timeouts).toEqual([]);
});

test("a window is counted from the first message of its key, and not opened again by later ones", async () => {
  const { setting, process, timeouts } = timing({ condition: matchAll("event1", "event2", "event3") });
  await process.deliver(one);
  await setting.clock.advance(50_000);
  await process.deliver(two);
  await setting.clock.advance(10_000);

  await process.sweep();

  expect(timeouts).toMatchObject([{ present: ["event1", "event2"], missing: ["event3"] }]);
});

test("a window that was opened is not opened again by a process that was slower", async () => {
  const { setting, process } = timing({ condition: matchAll("event1", "event2", "event3") });
  const other = joinOn(setting, { window, condition: matchAll("event1", "event2", "event3") });
  const opening = process.holdNext(({ source }) => source === "~window");
  const first = process.deliver(one);
  await setting.clock.advance(1_000);
  await other.deliver(two);

  opening();
  const delivery = await first;

  const due = await setting.store.scope("joiner").listDue({ before: Infinity, limit: 10 });
  expect(delivery.ended).toBe("waiting");
  expect(due).toEqual([{ key: "order-1", source: "~window", dueAt: noon + 61_000 }]);
});

test("grace lets a message that was on its way complete the join", async () => {
  const { setting, process, timeouts } = timing({ window: { size: 60_000, grace: 5_000 } });
  await process.deliver(one);
  await setting.clock.advance(64_999);
  await process.sweep();

  await process.deliver(two);

  expect(process.emitted).toHaveLength(1);
  expect(timeouts).toEqual([]);
});

test("after grace the window is over", async () => {
  const { setting, process, timeouts } = timing({ window: { size: 60_000, grace: 5_000 } });
  await process.deliver(one);
  await setting.clock.advance(65_000);

  await process.sweep();

  expect(timeouts).toHaveLength(1);
});

test("without a sweep the next message of the key ends its window, and is part of it", async () => {
  const { setting, process, timeouts } = timing({ condition: matchAll("event1", "event2", "event3") });
  await process.deliver(one);
  await setting.clock.advance(60_000);

  const delivery = await process.deliver(two);

  expect(delivery.ended).toBeUndefined();
  expect(timeouts).toMatchObject([{ present: ["event1", "event2"], missing: ["event3"] }]);
});

test("a join that is complete when its window is over is complete and no timeout", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await setting.clock.advance(60_000);

  await process.deliver(two);

  expect(timeouts).toEqual([]);
  expect(process.emitted).toMatchObject([{ content: '{"event1":{},"event2":{}}' }]);
});

test("a sweep that finds the last message stored but not emitted emits the complete join", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  const dying = joinOn(setting, { window });
  const list = dying.holdNext(({ operation }) => operation === "listSourcesByKey");
  void dying.deliver(two);
  await setting.clock.advance(0);
  dying.crash();
  list();
  await setting.clock.advance(60_000);

  await process.sweep();

  expect(timeouts).toEqual([]);
  expect(process.emitted).toHaveLength(1);
});

test("a join that is complete in time leaves a window that ends nothing", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await process.deliver(two);
  await setting.clock.advance(60_000);

  const report = await process.sweep();

  expect(report).toEqual({ finished: 0, errors: [], more: false });
  expect(timeouts).toEqual([]);
  expect(process.emitted).toHaveLength(1);
  expect(await entriesOf(setting.store)).toEqual(["event1", "event2", "~outcome"]);
});

test("a message that comes after the timeout is late", async () => {
  const { setting, process } = timing();
  await process.deliver(one);
  await setting.clock.advance(60_000);
  await process.sweep();

  const delivery = await process.deliver(two);

  expect(delivery.ended).toBe("late");
  expect(process.emitted).toEqual([]);
});

test("a member of a timeout that comes again is a duplicate", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await setting.clock.advance(60_000);
  await process.sweep();

  const again = await process.deliver(one);

  expect(again.ended).toBe("duplicate");
  expect(timeouts).toHaveLength(1);
});

test("onTimeout that fails is run again with the same timeout", async () => {
  const timeouts: JoinTimeout[] = [];
  const { setting, process } = timing({
    onTimeout: async (_ctx, timeout) => {
      timeouts.push(timeout);
      if (timeouts.length === 1) throw new Error("timeouts topic is down");
    },
  });
  await process.deliver(one);
  await setting.clock.advance(60_000);

  const failing = await process.sweep();
  await setting.clock.advance(10_000);
  const succeeding = await process.sweep();
  await setting.clock.advance(10_000);
  await process.sweep();

  expect(failing).toMatchObject({ finished: 0, errors: [{ message: "timeouts topic is down" }] });
  expect(succeeding).toMatchObject({ finished: 1, errors: [] });
  expect(timeouts).toHaveLength(2);
  expect(timeouts[1]).toEqual(timeouts[0]);
});

test("onTimeout of a process that died is run again", async () => {
  const { setting, process } = timing({ onTimeout: never });
  const timeouts: JoinTimeout[] = [];
  const healthy = joinOn(setting, { window, onTimeout: async (_ctx, timeout) => void timeouts.push(timeout) });
  await process.deliver(one);
  await setting.clock.advance(60_000);
  void process.sweep();
  await setting.clock.advance(0);
  process.crash();
  await setting.clock.advance(10_000);

  await healthy.sweep();

  expect(timeouts).toMatchObject([{ present: ["event1"], missing: ["event2"] }]);
});

test("onTimeout may pass the timeout on to the stages behind", async () => {
  const { setting, process } = timing({ onTimeout: (ctx, timeout, next) => next(ctx, timeout.message) });
  await process.deliver(one);
  await setting.clock.advance(60_000);

  await process.sweep();

  expect(process.emitted).toMatchObject([{ content: '{"event1":{}}' }]);
});

test("a timeout has another id than the complete join of the same members would have", async () => {
  const { setting, process, timeouts } = timing();
  await process.deliver(one);
  await setting.clock.advance(60_000);
  await process.sweep();
  const complete = joinOn(setUp(), { condition: matchAll("event1") });
  await complete.deliver(one);

  expect(timeouts[0]?.message.id).not.toBe(complete.emitted[0]?.id);
});

test("of many sweeps at once one runs onTimeout", async () => {
  const { setting, process, timeouts } = timing();
  const others = Array.from({ length: 4 }, () =>
    joinOn(setting, { window, onTimeout: async (_ctx, timeout) => void timeouts.push(timeout) }),
  );
  await process.deliver(one);
  await setting.clock.advance(60_000);

  const reports = await Promise.all([process, ...others].map((each) => each.sweep()));

  expect(timeouts).toHaveLength(1);
  expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
});

test("a sweep that was slow to end a window leaves the window of the next join of that key alone", async () => {
  const { setting, process } = timing();
  const slow = joinOn(setting, { window });
  await process.deliver(one);
  await setting.clock.advance(60_000);
  const seal = slow.holdNext(writesClaim("sealing"));
  const sweeping = slow.sweep();
  await setting.clock.advance(0);
  await process.sweep();
  const readBack = slow.holdNext(({ source }) => source === "~outcome");
  seal();
  await setting.clock.advance(0);
  for (const name of await entriesOf(setting.store)) await setting.store.scope("joiner").remove("order-1", name);
  await process.deliver(event("event1", { id: "of the next join" }));

  readBack();
  await sweeping;

  expect(await entriesOf(setting.store)).toEqual(["event1", "~window"]);
});

test("unless told otherwise a timeout is logged with what is present and what is missing", async () => {
  const setting = setUp();
  const process = joinOn(setting, { window });
  const warnings: object[] = [];
  await process.deliver(event("event1", { content: "secret" }));
  await setting.clock.advance(60_000);

  await process.sweep({ logger: { debug() {}, info() {}, error() {}, warn: (fields) => void warnings.push(fields) } });

  expect(warnings).toEqual([{ key: "order-1", present: ["event1"], missing: ["event2"] }]);
});

test("without a window a join waits for ever", async () => {
  const setting = setUp();
  const process = joinOn(setting);
  await process.deliver(one);
  await setting.clock.advance(365 * 86_400_000);
  await process.sweep();

  await process.deliver(two);

  expect(process.emitted).toHaveLength(1);
});

test("a message that ends a window whose onTimeout fails is told so", async () => {
  const { setting, process } = timing({
    condition: matchAll("event1", "event2", "event3"),
    onTimeout: () => Promise.reject(new Error("timeouts topic is down")),
  });
  await process.deliver(one);
  await setting.clock.advance(60_000);

  const refusal = await failureOf(process.deliver(two));

  expect(refusal).toMatchObject({ retryable: true, message: expect.stringContaining("timeouts topic is down") });
});

function timing(options: Partial<JoinerOptions> = {}) {
  const setting = setUp();
  const timeouts: JoinTimeout[] = [];
  const process = joinOn(setting, { window, onTimeout: async (_ctx, timeout) => void timeouts.push(timeout), ...options });
  return { setting, process, timeouts };
}
