import { expect, test } from "vitest";

import { TerminalError } from "../../../src/errors.ts";
import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { joiner } from "../../../src/handlers/joiner/joiner.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { deliver, event, failureOf } from "../../claims/deliver.ts";
import { parkingLot } from "../../claims/parking-lot.ts";
import { workerOn } from "../../claims/worker.ts";
import { joinOn, never, setUp } from "./joins.ts";

const one = event("event1");
const two = event("event2");

test("a retryable failure behind the joiner fails the delivery, and its redelivery emits the same again", async () => {
  const process = joinOn(setUp(), {}, failingTimes(1));
  await process.deliver(one);

  const refusal = await failureOf(process.deliver(two));
  const again = await process.deliver(two);

  expect(refusal).toMatchObject({ retryable: true, stage: "stage 1" });
  expect(again.ended).toBeUndefined();
  expect(process.emitted).toHaveLength(2);
  expect(process.emitted[1]).toEqual(process.emitted[0]);
});

test("content of several lines is emitted again as it was, after it has been in the store", async () => {
  const process = joinOn(setUp(), {}, failingTimes(1));
  await process.deliver(event("event1", { content: '{\n  "total":\r\n1.10\n}' }));
  await failureOf(process.deliver(event("event2", { content: "two\nlines" })));

  await process.deliver(event("event2", { content: "two\nlines" }));

  expect(process.emitted.map((message) => message.content)).toEqual(
    Array(2).fill('{"event1":{\n  "total":\r\n1.10\n},"event2":"two\\nlines"}'),
  );
});

test("after a retryable failure any member's redelivery emits the join", async () => {
  const process = joinOn(setUp(), {}, failingTimes(1));
  await process.deliver(one);
  await failureOf(process.deliver(two));

  const again = await process.deliver(one);

  expect(again.ended).toBeUndefined();
  expect(process.emitted).toHaveLength(2);
});

test("what is emitted again is what was frozen, whatever has come since", async () => {
  const process = joinOn(setUp(), {}, failingTimes(1));
  await process.deliver(one);
  await failureOf(process.deliver(two));

  const newer = await process.deliver(event("event1", { id: "newer", time: "2024-05-01T10:00:00Z", content: '{"changed":true}' }));
  await process.deliver(two);

  expect(newer.ended).toBe("late");
  expect(process.emitted[1]).toEqual(process.emitted[0]);
});

test("a terminal failure behind the joiner is told again to each duplicate, and nothing is emitted again", async () => {
  const process = joinOn(setUp(), {}, () => Promise.reject(new TerminalError("no such customer")));
  await process.deliver(one);

  const refusals = [await failureOf(process.deliver(two)), await failureOf(process.deliver(two)), await failureOf(process.deliver(one))];

  expect(refusals).toMatchObject([{ code: "ERR_TERMINAL" }, { code: "ERR_TERMINAL" }, { code: "ERR_TERMINAL" }]);
  expect(process.emitted).toHaveLength(1);
});

test("once a terminal failure was put aside, a duplicate is done with", async () => {
  const setting = setUp();
  const lot = parkingLot();
  const orders = pipeline()
    .use(lot)
    .use(joiner({ store: setting.store, condition: matchAll("event1", "event2") }))
    .use(() => Promise.reject(new TerminalError("no such customer")));
  await deliver(orders, setting.clock, one);
  await deliver(orders, setting.clock, two);

  const again = await deliver(orders, setting.clock, one);

  expect(lot.parked).toMatchObject([{ message: two, error: { code: "ERR_TERMINAL" } }]);
  expect(again.ended).toBe("duplicate");
});

test("an emission whose process died is made again by a redelivery, once its lease is over", async () => {
  const setting = setUp();
  const dying = joinOn(setting, {}, never);
  const healthy = joinOn(setting, { wait: 0 });
  await dying.deliver(one);
  void dying.deliver(two);
  await setting.clock.advance(0);
  dying.crash();

  await setting.clock.advance(9_999);
  const tooEarly = await failureOf(healthy.deliver(two));
  await setting.clock.advance(1);
  const inTime = await healthy.deliver(two);

  expect(tooEarly).toMatchObject({ code: "ERR_IN_PROGRESS", retryable: true, retryAfter: 3_334 });
  expect(inTime.ended).toBeUndefined();
  expect(healthy.emitted).toEqual(dying.emitted);
});

test("an emission whose process died is made again by a sweep, with no further message", async () => {
  const setting = setUp();
  const dying = joinOn(setting, {}, never);
  const healthy = joinOn(setting);
  await dying.deliver(one);
  void dying.deliver(two);
  await setting.clock.advance(0);
  dying.crash();
  const tooEarly = await healthy.sweep();
  await setting.clock.advance(10_000);

  const report = await healthy.sweep();

  expect(tooEarly).toEqual({ finished: 0, errors: [], more: false });
  expect(report).toEqual({ finished: 1, errors: [], more: false });
  expect(healthy.emitted).toEqual(dying.emitted);
});

test("an emission that failed retryably is made again by a sweep after a lease", async () => {
  const setting = setUp();
  const process = joinOn(setting, {}, failingTimes(2));
  await process.deliver(one);
  await failureOf(process.deliver(two));
  await setting.clock.advance(10_000);

  const failing = await process.sweep();
  await setting.clock.advance(10_000);
  const succeeding = await process.sweep();

  expect(failing).toMatchObject({ finished: 0, errors: [{ retryable: true }] });
  expect(succeeding).toEqual({ finished: 1, errors: [], more: false });
  expect(process.emitted).toHaveLength(3);
});

test("an emission that crashes its process maxAttempts times fails for good", async () => {
  const setting = setUp();
  const first = joinOn(setting);
  await first.deliver(one);
  for (let crash = 0; crash < 2; crash += 1) {
    const dying = joinOn(setting, { maxAttempts: 2 }, never);
    void dying.deliver(two);
    await setting.clock.advance(0);
    dying.crash();
    await setting.clock.advance(10_000);
  }
  const healthy = joinOn(setting, { maxAttempts: 2 });

  const refusal = await failureOf(healthy.deliver(two));

  expect(refusal).toMatchObject({ code: "ERR_CRASHED", retryable: false });
  expect(healthy.emitted).toEqual([]);
});

test("behind a dead letter the tenth crash of an emission is the last, and the message is put aside", async () => {
  const setting = setUp();
  await joinOn(setting).deliver(one);
  for (let crash = 0; crash < 10; crash += 1) {
    const dying = joinOn(setting, {}, never);
    void dying.deliver(two);
    await setting.clock.advance(0);
    dying.crash();
    await setting.clock.advance(10_000);
  }
  const lot = parkingLot();
  const orders = pipeline()
    .use(lot)
    .use(joiner({ store: workerOn(setting.store).store, condition: matchAll("event1", "event2") }));

  await deliver(orders, setting.clock, two);

  expect(lot.parked).toMatchObject([{ message: two, error: { code: "ERR_CRASHED" } }]);
});

test("a loser of the race waits for the emission and is then a duplicate", async () => {
  const { setting, work, losing } = await racing();

  await setting.clock.advance(300);
  work.resolve();
  await setting.clock.advance(500);

  expect((await losing).ended).toBe("duplicate");
});

test("a loser of the race that waits in vain fails retryably where nothing sweeps", async () => {
  const { setting, losing } = await racing();
  const refusal = failureOf(losing);

  await setting.clock.advance(5_000);

  expect(await refusal).toMatchObject({ code: "ERR_IN_PROGRESS", retryable: true, retryAfter: 3_334 });
});

test("a loser of the race that waits in vain is acknowledged where a sweep runs, for the outcome is durable", async () => {
  const { setting, losing } = await racing({ swept: true });

  await setting.clock.advance(5_000);

  expect((await losing).ended).toBe("waiting");
});

test("the message that began an emission is never acknowledged while that is not done, also where a sweep runs", async () => {
  const { setting, loser } = await racing({ swept: true });
  const refusal = failureOf(loser.deliver(two));

  await setting.clock.advance(5_000);

  expect(await refusal).toMatchObject({ code: "ERR_IN_PROGRESS" });
});

test("a delivery that is given up by its caller leaves the emission to whoever comes next", async () => {
  const setting = setUp();
  const caller = new AbortController();
  const gone = new Error("client went away");
  const process = joinOn(setting, {}, async (ctx) => {
    if (ctx.attempt === 1) await rejectionOf(ctx.signal);
  });
  await process.deliver(one);
  const refusal = failureOf(process.deliver(two, { signal: caller.signal }));
  await setting.clock.advance(0);

  caller.abort(gone);
  await setting.clock.advance(0);
  const again = await process.deliver(two, { attempt: 2 });

  expect(await refusal).toBe(gone);
  expect(again.ended).toBeUndefined();
});

test("past the deadline a delivery fails, and a handler that ignores it keeps its claim until it is done", async () => {
  const setting = setUp();
  const work = Promise.withResolvers<void>();
  const process = joinOn(setting, {}, () => work.promise);
  await process.deliver(one);
  const refusal = failureOf(process.deliver(two, { deadline: setting.clock.now() + 1_000 }));
  await setting.clock.advance(60_000);

  const meanwhile = failureOf(process.deliver(one));
  await setting.clock.advance(5_000);
  work.resolve();
  await setting.clock.advance(0);
  const afterwards = await process.deliver(one);

  expect(await refusal).toMatchObject({ code: "ERR_TIMEOUT" });
  expect(await meanwhile).toMatchObject({ code: "ERR_IN_PROGRESS" });
  expect(afterwards.ended).toBe("duplicate");
  expect(process.emitted).toHaveLength(1);
});

test("a message that was aborted before it began is not stored", async () => {
  const setting = setUp();
  const worker = workerOn(setting.store);
  const orders = pipeline().use(joiner({ store: worker.store, condition: matchAll("event1", "event2") }));
  const gone = new Error("client went away");

  const refusal = await failureOf(deliver(orders, setting.clock, one, { signal: AbortSignal.abort(gone) }));

  expect(refusal).toBe(gone);
  expect(worker.calls).toEqual([]);
});

test("an emission answered with an error by the store is this delivery's all the same", async () => {
  const process = joinOn(setUp());
  await process.deliver(one);
  process.failNext("after", ({ source }) => source === "~outcome");

  const delivery = await process.deliver(two);

  expect(delivery.ended).toBeUndefined();
  expect(process.emitted).toHaveLength(1);
});

test("a message that could not be stored fails retryably and counts when it comes again", async () => {
  const process = joinOn(setUp());
  process.failNext("before", ({ operation }) => operation === "persist");

  const refusal = await failureOf(process.deliver(one));
  await process.deliver(one);
  await process.deliver(two);

  expect(refusal).toMatchObject({ retryable: true });
  expect(process.emitted).toHaveLength(1);
});

/** `event2` has begun an emission that waits for `work`, and `event1` comes again while it does. */
async function racing({ swept = false } = {}) {
  const setting = setUp();
  const work = Promise.withResolvers<void>();
  const winner = joinOn(setting, {}, () => work.promise);
  const loser = joinOn(setting);
  await winner.deliver(one);
  void winner.deliver(two);
  await setting.clock.advance(0);
  if (swept) await loser.sweep();
  const losing = loser.deliver(one);
  return { setting, work, loser, losing };
}

function failingTimes(times: number): () => Promise<void> {
  let failures = 0;
  return async () => {
    if (failures === times) return;
    failures += 1;
    throw new Error("sink down");
  };
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
