import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";

import type { Next } from "../../src/pipeline/handler.ts";

import { type Context, createContext } from "../../src/context.ts";
import { RetryAfterError, TerminalError } from "../../src/errors.ts";
import { retry } from "../../src/handlers/retry.ts";
import { createMessage } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { type VirtualClock, virtualClock } from "../../src/testing/virtual-clock.ts";
import { rejectionOf } from "./rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "{}" });

test("a retryable failure is tried again until it succeeds, pausing twice as long each time", async () => {
  const clock = virtualClock();
  const times: number[] = [];
  const run = retry({ maxAttempts: 4, baseDelay: 100, random: () => 0.5 }).process(createContext({ clock }), order, async () => {
    times.push(clock.now());
    if (times.length < 4) throw new Error("not yet");
  });

  await clock.advance(1_000);

  await run;
  expect(times).toEqual([0, 50, 150, 350]);
});

test("no pause is longer than maxDelay", async () => {
  const clock = virtualClock();
  const times: number[] = [];
  const run = retry({ maxAttempts: 4, baseDelay: 100, maxDelay: 150, random: () => 1 }).process(
    createContext({ clock }),
    order,
    async () => {
      times.push(clock.now());
      if (times.length < 4) throw new Error("not yet");
    },
  );

  await clock.advance(1_000);

  await run;
  expect(times).toEqual([0, 100, 250, 400]);
});

test("every pause lies between nothing and its bound, whatever the jitter", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 0, max: 5_000 }),
      async (jitter, baseDelay) => {
        const clock = virtualClock();
        const next = vi.fn<Next>(() => Promise.reject(new Error("down")));
        const run = retry({ maxAttempts: 5, baseDelay, random: () => jitter }).process(createContext({ clock }), order, next);
        const settled = run.catch(() => clock.now());

        await clock.advance(baseDelay * (1 + 2 + 4 + 8));

        expect(await settled).toBeLessThanOrEqual(baseDelay * 15);
        expect(next).toHaveBeenCalledTimes(5);
      },
    ),
    { numRuns: 30 },
  );
});

test("a terminal failure is thrown on at once", async () => {
  const refused = new TerminalError("no");
  const next = vi.fn<Next>(() => Promise.reject(refused));

  await expect(retry().process(createContext(), order, next)).rejects.toBe(refused);
  expect(next).toHaveBeenCalledOnce();
});

test("the last failure is the cause when the attempts are used up", async () => {
  const clock = virtualClock();
  const causes = [new Error("first"), new Error("second")];
  let calls = 0;
  const run = retry({ maxAttempts: 2 }).process(createContext({ clock }), order, () => Promise.reject(causes[calls++]));
  const failure = rejectionOf(run);

  await clock.advance(100);

  expect(await failure).toMatchObject({ code: "ERR_RETRIES_EXHAUSTED", retryable: true, cause: causes[1] });
});

test("ctx.attempt counts on from the delivery's own", async () => {
  const clock = virtualClock();
  const attempts: number[] = [];
  const run = retry({ maxAttempts: 3 }).process(createContext({ clock, attempt: 4 }), order, async (ctx) => {
    attempts.push(ctx.attempt);
    if (attempts.length < 3) throw new Error("not yet");
  });

  await clock.advance(1_000);

  await run;
  expect(attempts).toEqual([4, 5, 6]);
});

describe("a failure that says when to try again", () => {
  test("is given at least that pause", async () => {
    const clock = virtualClock();
    const next = vi
      .fn<Next>()
      .mockRejectedValueOnce(new RetryAfterError("busy", { retryAfter: 700 }))
      .mockResolvedValueOnce(undefined);
    const run = retry({ baseDelay: 100 }).process(createContext({ clock }), order, next);

    await clock.advance(699);
    expect(next).toHaveBeenCalledTimes(1);
    await clock.advance(1);

    await run;
    expect(next).toHaveBeenCalledTimes(2);
  });

  test("is thrown on at once, as it is, when that pause is longer than maxDelay", async () => {
    const clock = virtualClock();
    const busy = new RetryAfterError("busy", { retryAfter: 60_000 });

    await expect(retry({ maxDelay: 10_000 }).process(createContext({ clock }), order, () => Promise.reject(busy))).rejects.toBe(busy);
    expect(clock.pending).toBe(0);
  });

  test("hands that on to the sender when the attempts are used up", async () => {
    const run = retry({ maxAttempts: 1 }).process(createContext(), order, () =>
      Promise.reject(new RetryAfterError("busy", { retryAfter: 5 })),
    );

    await expect(run).rejects.toMatchObject({ code: "ERR_RETRIES_EXHAUSTED", retryAfter: 5 });
  });
});

test("a failure is thrown on at once when the pause would reach the deadline", async () => {
  const clock = virtualClock();
  const down = new Error("down");
  const ctx = createContext({ clock, deadline: 100 });

  await expect(retry({ baseDelay: 100, random: () => 1 }).process(ctx, order, () => Promise.reject(down))).rejects.toBe(down);
  expect(clock.pending).toBe(0);
});

test("aborting during a pause ends it at once with the reason, and leaves no timer", async () => {
  const { clock, ctx, controller } = abortable();
  const next = vi.fn<Next>(() => Promise.reject(new Error("down")));
  const run = retry().process(ctx, order, next);
  const failure = rejectionOf(run);
  await clock.advance(0);

  controller.abort("stop");

  expect(await failure).toBe("stop");
  expect(next).toHaveBeenCalledOnce();
  expect(clock.pending).toBe(0);
});

test("what fails after the signal has aborted is not tried again", async () => {
  const { ctx, controller } = abortable();
  const down = new Error("down");
  const next = vi.fn<Next>(async () => {
    controller.abort("stop");
    throw down;
  });

  await expect(retry().process(ctx, order, next)).rejects.toBe(down);
  expect(next).toHaveBeenCalledOnce();
});

test("behind it, a stage runs again and the failure names retry as the stage that gave up", async () => {
  const clock = virtualClock();
  const charge = vi.fn<Next>(() => Promise.reject(new Error("down")));
  const run = pipeline()
    .use(retry({ maxAttempts: 3 }))
    .use(charge)
    .process(createContext({ clock }), order);
  const failure = rejectionOf(run);

  await clock.advance(1_000);

  expect(await failure).toMatchObject({ stage: "retry", index: 0, code: "ERR_RETRIES_EXHAUSTED" });
  expect(charge).toHaveBeenCalledTimes(3);
});

test.each([
  [{ maxAttempts: 0 }, "maxAttempts"],
  [{ maxAttempts: 1.5 }, "maxAttempts"],
  [{ baseDelay: -1 }, "baseDelay"],
  [{ baseDelay: NaN }, "baseDelay"],
  [{ baseDelay: 100, maxDelay: 99 }, "maxDelay"],
])("the options %j are refused by the name of %s", (options, name) => {
  expect(() => retry(options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(name) }));
});

function abortable(): { readonly clock: VirtualClock; readonly ctx: Context; readonly controller: AbortController } {
  const clock = virtualClock();
  const controller = new AbortController();
  return { clock, controller, ctx: createContext({ clock, signal: controller.signal }) };
}
