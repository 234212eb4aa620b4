import { expect, test } from "vitest";

import { TerminalError } from "../../../src/errors.ts";
import { event, failureOf } from "../../claims/deliver.ts";
import { writesClaim } from "../../claims/worker.ts";
import { entriesOf, type JoinProcess, joinOn, setUp, type Setting } from "./joins.ts";

const retention = 60_000;
const one = event("event1");
const two = event("event2");

test("an ended join is kept for its retention, and then removed in two sweeps: first its messages, then its outcome", async () => {
  const { setting, process } = await joined();

  await setting.clock.advance(59_999);
  await process.sweep();
  const kept = await entriesOf(setting.store);
  await setting.clock.advance(1);
  await process.sweep();
  const afterOneSweep = await entriesOf(setting.store);
  await setting.clock.advance(10_000);
  await process.sweep();
  const afterTwoSweeps = await entriesOf(setting.store);

  expect(kept).toEqual(["event1", "event2", "~outcome"]);
  expect(afterOneSweep).toEqual(["~outcome"]);
  expect(afterTwoSweeps).toEqual([]);
});

test("the outcome is written before the first message is removed", async () => {
  const { setting, process } = await joined();
  await setting.clock.advance(retention);
  const before = process.calls.length;

  await process.sweep();

  expect(process.calls.slice(before).map(({ operation, source }) => (source === undefined ? operation : `${operation} ${source}`))).toEqual(
    ["listDue", "lookUp ~outcome", "lookUpByKey", "persist ~outcome", "remove event1", "remove event2"],
  );
});

test("a sweep that dies while it removes leaves the rest to another one", async () => {
  const { setting, process } = await joined();
  await setting.clock.advance(retention);
  const removal = process.holdNext(({ operation, source }) => operation === "remove" && source === "event2");
  void process.sweep();
  await setting.clock.advance(0);
  process.crash();
  removal();
  const other = joinOn(setting, { retention });

  await setting.clock.advance(10_000);
  await other.sweep();
  await setting.clock.advance(10_000);
  await other.sweep();

  expect(await entriesOf(setting.store)).toEqual([]);
});

test("a message that is written while its join is removed is not removed with it, and is late", async () => {
  const { setting, process } = await joined();
  const late: string[] = [];
  const other = joinOn(setting, { retention, onLate: (_ctx, { id }) => void late.push(id) });
  await setting.clock.advance(retention);
  const removal = process.holdNext(({ operation, source }) => operation === "remove" && source === "event1");
  const sweeping = process.sweep();
  await setting.clock.advance(0);
  const look = other.holdNext(({ operation }) => operation === "listSourcesByKey");
  const delivery = other.deliver(event("event1", { id: "newer", time: "2024-05-01T10:00:00Z" }));
  await setting.clock.advance(0);

  removal();
  const report = await sweeping;
  const left = await entriesOf(setting.store);
  look();

  expect(report.errors).toEqual([]);
  expect(left).toEqual(["event1", "~outcome"]);
  expect((await delivery).ended).toBe("late");
  expect(late).toEqual(["newer"]);
});

test("an outcome that was written anew while a sweep was about to remove it stays, and that is no error", async () => {
  const { setting, process } = await joined();
  const other = joinOn(setting, { retention });
  await setting.clock.advance(retention);
  await process.sweep();
  await setting.clock.advance(10_000);
  const removal = process.holdNext(({ operation }) => operation === "remove");
  const sweeping = process.sweep();
  await setting.clock.advance(0);
  await setting.store.scope("joiner").persist(event("event1", { id: "newer" }));
  await other.sweep();

  removal();
  const report = await sweeping;

  expect(report.errors).toEqual([]);
  expect(await entriesOf(setting.store)).toEqual(["~outcome"]);
});

test("an outcome is not removed while a message stands under its key", async () => {
  const { setting, process } = await joined();
  await setting.clock.advance(retention);
  await process.sweep();
  await setting.store.scope("joiner").persist(event("event1", { id: "written, and its delivery has not looked yet" }));
  await setting.clock.advance(10_000);

  await process.sweep();

  expect(await entriesOf(setting.store)).toContain("~outcome");
});

test("sweeps at once remove an ended join without an error", async () => {
  const { setting, process } = await joined();
  const others = Array.from({ length: 3 }, () => joinOn(setting, { retention }));
  const all = [process, ...others];
  await setting.clock.advance(retention);

  const first = await Promise.all(all.map((each) => each.sweep()));
  await setting.clock.advance(10_000);
  const second = await Promise.all(all.map((each) => each.sweep()));

  expect([...first, ...second].flatMap(({ errors }) => errors)).toEqual([]);
  expect(await entriesOf(setting.store)).toEqual([]);
});

test("a key is free for a new join after its retention, and other members give another id", async () => {
  const { setting, process } = await joined();
  await setting.clock.advance(retention);
  await process.sweep();
  await setting.clock.advance(10_000);
  await process.sweep();

  await process.deliver(event("event1", { id: "second" }));
  await process.deliver(event("event2", { id: "second" }));

  const [first, second] = process.emitted;
  expect(process.emitted).toHaveLength(2);
  expect(second?.id).not.toBe(first?.id);
});

test("repeats of forgotten members give the id they gave before, so that it is recognised downstream", async () => {
  const { setting, process } = await joined();
  await setting.clock.advance(retention);
  await process.sweep();
  await setting.clock.advance(10_000);
  await process.sweep();

  await process.deliver(one);
  await process.deliver(two);

  const [first, second] = process.emitted;
  expect(second?.id).toBe(first?.id);
});

test("a join that never completed is never removed", async () => {
  const setting = setUp();
  const process = joinOn(setting, { retention });
  await process.deliver(one);

  await setting.clock.advance(10 * retention);
  await process.sweep();

  expect(await entriesOf(setting.store)).toEqual(["event1"]);
});

test("a failed join stays until its failure has been taken, however old it is", async () => {
  const setting = setUp();
  const failures: string[] = [];
  const failing = joinOn(setting, { retention }, () => Promise.reject(new TerminalError("no such customer")));
  await failing.deliver(one);
  await failureOf(failing.deliver(two));
  await setting.clock.advance(10 * retention);
  await failing.sweep();
  const kept = await entriesOf(setting.store);

  const taking = joinOn(setting, { retention, onFailure: (_ctx, { key }) => void failures.push(key) });
  for (let sweep = 0; sweep < 3; sweep += 1) {
    await setting.clock.advance(retention);
    await taking.sweep();
  }

  expect(kept).toEqual(["event1", "event2", "~outcome"]);
  expect(failures).toEqual(["order-1"]);
  expect(await entriesOf(setting.store)).toEqual([]);
});

test("the window of an ended join goes with its messages", async () => {
  const setting = setUp();
  const process = joinOn(setting, { retention: 1_000, window: { size: 60_000 } });
  await process.deliver(one);
  await process.deliver(two);
  await setting.clock.advance(1_000);

  await process.sweep();

  expect(await entriesOf(setting.store)).toEqual(["~outcome"]);
});

test("what is kept of a done join holds no content of its messages beside their own entries", async () => {
  const setting = setUp();
  const process = joinOn(setting);
  await process.deliver(event("event1", { content: '{"secret":1}' }));
  await process.deliver(two);

  const outcome = await setting.store.scope("joiner").lookUp("order-1", "~outcome");

  expect(process.calls.some((call) => writesClaim("running")(call) && String(call.message?.content).includes("secret"))).toBe(true);
  expect(outcome?.message.content).not.toContain("secret");
});

async function joined(): Promise<{ readonly setting: Setting; readonly process: JoinProcess }> {
  const setting = setUp();
  const process = joinOn(setting, { retention });
  await process.deliver(one);
  await process.deliver(two);
  return { setting, process };
}
