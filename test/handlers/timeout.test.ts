import { getEventListeners } from "node:events";
import { expect, test } from "vitest";

import { type Context, createContext } from "../../src/context.ts";
import { retry } from "../../src/handlers/retry.ts";
import { timeout } from "../../src/handlers/timeout.ts";
import { createMessage } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { rejectionOf } from "./rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "secret" });
const never = (): Promise<void> => new Promise(() => {});

test("what is done in time passes, and leaves no timer or listener", async () => {
  const clock = virtualClock();
  const { signal } = new AbortController();

  await timeout({ after: 100 }).process(createContext({ clock, signal }), order, () => Promise.resolve());

  expect(clock.pending).toBe(0);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("a failure in time is thrown on as it is, and leaves no timer or listener", async () => {
  const clock = virtualClock();
  const { signal } = new AbortController();
  const down = new Error("down");

  await expect(timeout({ after: 100 }).process(createContext({ clock, signal }), order, () => Promise.reject(down))).rejects.toBe(down);

  expect(clock.pending).toBe(0);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("a stage that throws before it returns a promise leaves no timer either", async () => {
  const clock = virtualClock();
  const broken = (): Promise<void> => {
    throw new Error("broken");
  };

  await expect(timeout({ after: 100 }).process(createContext({ clock }), order, broken)).rejects.toThrow("broken");

  expect(clock.pending).toBe(0);
});

test("after the time the message fails with a retryable TimeoutError, even where the stages ignore it", async () => {
  const clock = virtualClock();
  const { signal } = new AbortController();
  const run = timeout({ after: 100 }).process(createContext({ clock, signal }), order, never);
  const failure = rejectionOf(run);

  await clock.advance(100);

  expect(await failure).toMatchObject({ code: "ERR_TIMEOUT", retryable: true, message: expect.stringContaining("o-1") });
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("the stages behind see their signal abort with that error", async () => {
  const clock = virtualClock();
  const seen: Context[] = [];
  const run = timeout({ after: 100 }).process(createContext({ clock }), order, (ctx) => {
    seen.push(ctx);
    return never();
  });
  const error: unknown = await Promise.all([run.catch((reason: unknown) => reason), clock.advance(100)]).then(([reason]) => reason);

  expect(seen[0]?.signal.reason).toBe(error);
});

test("a signal asked for before the time is up aborts as well", async () => {
  const clock = virtualClock();
  const run = timeout({ after: 100 }).process(
    createContext({ clock }),
    order,
    (ctx) => new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason))),
  );
  const failure = rejectionOf(run);

  await clock.advance(100);

  expect(await failure).toMatchObject({ code: "ERR_TIMEOUT" });
});

test("an abort from in front reaches the stages behind and fails the message at once, with its reason", async () => {
  const clock = virtualClock();
  const controller = new AbortController();
  const seen: Context[] = [];
  const run = timeout({ after: 100 }).process(createContext({ clock, signal: controller.signal }), order, (ctx) => {
    seen.push(ctx);
    return never();
  });
  const failure = rejectionOf(run);

  controller.abort("stop");

  expect(await failure).toBe("stop");
  expect(seen[0]?.signal.reason).toBe("stop");
  expect(clock.pending).toBe(0);
});

test("a signal that has aborted before does not start the stages behind", async () => {
  const ran: string[] = [];

  const run = timeout({ after: 100 }).process(
    createContext({ signal: AbortSignal.abort("stop") }),
    order,
    async () => void ran.push("ran"),
  );

  await expect(run).rejects.toBe("stop");
  expect(ran).toEqual([]);
});

test.each([
  { given: undefined, seen: 1_100 },
  { given: 1_050, seen: 1_050 },
  { given: 5_000, seen: 1_100 },
])("with a deadline of $given in front, the stages behind see $seen", async ({ given, seen }) => {
  const deadlines: (number | undefined)[] = [];
  const ctx = createContext({ clock: virtualClock({ now: 1_000 }), deadline: given });

  await timeout({ after: 100 }).process(ctx, order, async ({ deadline }) => void deadlines.push(deadline));

  expect(deadlines).toEqual([seen]);
});

test("a stage that fails after its time has passed disturbs nobody", async () => {
  const clock = virtualClock();
  const run = timeout({ after: 100 }).process(createContext({ clock }), order, async (ctx) => {
    await new Promise<void>((resolve) => clock.after(200, resolve));
    ctx.signal.throwIfAborted();
  });
  const failure = rejectionOf(run);

  await clock.advance(300);

  expect(await failure).toMatchObject({ code: "ERR_TIMEOUT" });
});

test("behind retry, each run has the time to itself", async () => {
  const clock = virtualClock();
  const starts: number[] = [];
  const slowAtFirst = async (): Promise<void> => {
    starts.push(clock.now());
    if (starts.length < 3) await never();
  };
  const run = pipeline()
    .use(retry({ baseDelay: 0 }))
    .use(timeout({ after: 100 }))
    .use(slowAtFirst)
    .process(createContext({ clock }), order);

  await clock.advance(200);

  await run;
  expect(starts).toEqual([0, 100, 200]);
});

test("the failure names timeout as its stage", async () => {
  const clock = virtualClock();
  const run = pipeline()
    .use(timeout({ after: 100 }))
    .use(never)
    .process(createContext({ clock }), order);
  const failure = rejectionOf(run);

  await clock.advance(100);

  expect(await failure).toMatchObject({ stage: "timeout", code: "ERR_TIMEOUT", retryable: true });
});

test.each([0, -1, NaN])("an after of %d is refused", (after) => {
  expect(() => timeout({ after })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});
