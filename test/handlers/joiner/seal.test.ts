import { expect, test } from "vitest";

import type { JoinTimeout } from "../../../src/handlers/joiner/join.ts";

import { matchAll, matchNone } from "../../../src/handlers/joiner/condition.ts";
import { event, failureOf } from "../../claims/deliver.ts";
import { writesClaim } from "../../claims/worker.ts";
import { entriesOf, joinOn, setUp } from "./joins.ts";

const condition = matchAll("event1", "event2").and(matchNone("cancelled"));
const one = event("event1");
const two = event("event2");
const cancelled = event("cancelled");

test("a condition that a further source makes false joins as long as that has not come", async () => {
  const process = joinOn(setUp(), { condition });
  await process.deliver(one);

  await process.deliver(two);

  expect(process.emitted).toMatchObject([{ content: '{"event1":{},"event2":{}}' }]);
});

test("once the source that must be absent has come, the others wait", async () => {
  const process = joinOn(setUp(), { condition });
  await process.deliver(cancelled);
  await process.deliver(one);

  const delivery = await process.deliver(two);

  expect(delivery.ended).toBe("waiting");
  expect(process.emitted).toEqual([]);
});

test("after the end the source that must be absent is late", async () => {
  const process = joinOn(setUp(), { condition });
  await process.deliver(one);
  await process.deliver(two);

  const delivery = await process.deliver(cancelled);

  expect(delivery.ended).toBe("late");
});

test("a source that arrives before the seal is counted, though the condition held when it was looked at", async () => {
  const setting = setUp();
  const left = joinOn(setting, { condition });
  const right = joinOn(setting, { condition });
  await left.deliver(one);
  const seal = left.holdNext(writesClaim("sealing"));
  const second = left.deliver(two);
  await setting.clock.advance(0);
  const third = await right.deliver(cancelled);

  seal();
  await setting.clock.advance(1_000);

  expect(third.ended).toBe("waiting");
  expect((await second).ended).toBe("waiting");
  expect([...left.emitted, ...right.emitted]).toEqual([]);
});

test("while a seal is on, a message that arrives waits for the decision, and is then late", async () => {
  const setting = setUp();
  const left = joinOn(setting, { condition });
  const right = joinOn(setting, { condition });
  await left.deliver(one);
  const read = left.holdNext(writesClaim("running"));
  const second = left.deliver(two);
  await setting.clock.advance(0);
  const third = right.deliver(cancelled);
  await setting.clock.advance(100);

  read();
  await setting.clock.advance(1_000);

  expect((await second).ended).toBeUndefined();
  expect((await third).ended).toBe("late");
  expect(left.emitted).toMatchObject([{ content: '{"event1":{},"event2":{}}' }]);
});

test("the seal of a process that died is finished by the next message once its lease is over", async () => {
  const { setting, healthy } = await deadSealer();

  await setting.clock.advance(10_000);
  const delivery = await healthy.deliver(two);

  expect(delivery.ended).toBeUndefined();
  expect(healthy.emitted).toMatchObject([{ content: '{"event1":{},"event2":{}}' }]);
});

test("a message that finishes the seal of a process that died, and does not count itself, is told so", async () => {
  const { setting, healthy } = await deadSealer();

  await setting.clock.advance(10_000);
  const delivery = await healthy.deliver(event("event2", { id: "event2, and older by its id" }));

  expect(delivery.ended).toBe("superseded");
  expect(healthy.emitted).toHaveLength(1);
});

test("the seal of a process that died is finished by a sweep once its lease is over", async () => {
  const { setting, healthy } = await deadSealer();

  await setting.clock.advance(10_000);
  await healthy.sweep();

  expect(healthy.emitted).toMatchObject([{ content: '{"event1":{},"event2":{}}' }]);
});

test("a message under the seal of a process that died is not acknowledged before that is decided, also where a sweep runs", async () => {
  const { setting, healthy } = await deadSealer();
  await healthy.sweep();
  const refusal = failureOf(healthy.deliver(cancelled));

  await setting.clock.advance(5_000);

  expect(await refusal).toMatchObject({ code: "ERR_IN_PROGRESS", retryable: true });
});

test("a seal under which nothing was decided is taken off, and the join goes on", async () => {
  const setting = setUp();
  const xor = joinOn(setting, { condition: matchAll("event1").xor(matchAll("event2")) });
  const other = joinOn(setting, { condition: matchAll("event1").xor(matchAll("event2")) });
  const seal = xor.holdNext(writesClaim("sealing"));
  const first = xor.deliver(one);
  await setting.clock.advance(0);
  await other.deliver(two);
  seal();
  await setting.clock.advance(1_000);

  const again = await xor.deliver(event("event1"));

  expect((await first).ended).toBe("waiting");
  expect(again.ended).toBe("waiting");
  expect([...xor.emitted, ...other.emitted]).toEqual([]);
});

test("a seal under which the store fails is taken off, so that a redelivery needs not wait for the lease", async () => {
  const process = joinOn(setUp(), { condition, wait: 0 });
  await process.deliver(one);
  process.failNext("before", ({ operation }) => operation === "lookUpByKey");

  const refusal = await failureOf(process.deliver(two));
  const again = await process.deliver(two);

  expect(refusal).toMatchObject({ retryable: true });
  expect(again.ended).toBeUndefined();
  expect(process.emitted).toHaveLength(1);
});

test("a join that was sealed in vain can still end by its window", async () => {
  const setting = setUp();
  const timeouts: JoinTimeout[] = [];
  const options = {
    condition,
    window: { size: 60_000 },
    onTimeout: async (_ctx: unknown, timeout: JoinTimeout) => void timeouts.push(timeout),
  };
  const left = joinOn(setting, options);
  const right = joinOn(setting, options);
  await left.deliver(one);
  const seal = left.holdNext(writesClaim("sealing"));
  const second = left.deliver(two);
  await setting.clock.advance(0);
  await right.deliver(cancelled);
  seal();
  await setting.clock.advance(60_000);
  await second;

  await right.sweep();

  expect(timeouts).toMatchObject([{ present: ["cancelled", "event1", "event2"], missing: [] }]);
});

test("the dead seal of a timeout is finished as a timeout", async () => {
  const setting = setUp();
  const timeouts: JoinTimeout[] = [];
  const options = { window: { size: 60_000 }, onTimeout: async (_ctx: unknown, timeout: JoinTimeout) => void timeouts.push(timeout) };
  const dying = joinOn(setting, options);
  const healthy = joinOn(setting, options);
  await dying.deliver(one);
  await setting.clock.advance(60_000);
  dying.holdNext(writesClaim("running"));
  void dying.sweep();
  await setting.clock.advance(0);
  dying.crash();
  await healthy.sweep();
  const before = timeouts.length;
  await setting.clock.advance(10_000);

  await healthy.sweep();

  expect(before).toBe(0);
  expect(timeouts).toMatchObject([{ present: ["event1"] }]);
});

test("a window whose messages are gone ends nothing, and leaves nothing", async () => {
  const setting = setUp();
  const process = joinOn(setting, { window: { size: 60_000 }, retention: 120_000 });
  await process.deliver(one);
  await setting.store.scope("joiner").remove("order-1", "event1");
  await setting.clock.advance(60_000);
  await process.sweep();
  await setting.clock.advance(120_000);

  await process.sweep();

  expect(process.emitted).toEqual([]);
  expect(await entriesOf(setting.store)).toEqual([]);
});

/** A process that died under its seal, with `event1` and `event2` stored. */
async function deadSealer() {
  const setting = setUp();
  const dying = joinOn(setting, { condition });
  const healthy = joinOn(setting, { condition });
  await dying.deliver(one);
  dying.holdNext(writesClaim("running"));
  void dying.deliver(two);
  await setting.clock.advance(0);
  dying.crash();
  return { setting, healthy };
}
