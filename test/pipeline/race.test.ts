import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";

import type { StageFunction } from "../../src/pipeline/handler.ts";

import { type Context, createContext, deriveContext } from "../../src/context.ts";
import { createMessage } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { rejectionOf } from "../handlers/rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "" });
const ignoring: StageFunction = () => new Promise(() => {});

describe("when the caller's signal aborts", () => {
  test("the message fails at once with its reason, even where a stage ignores it", async () => {
    const controller = new AbortController();
    const failure = rejectionOf(
      pipeline()
        .use(ignoring)
        .process(createContext({ signal: controller.signal }), order),
    );

    controller.abort("stop");

    expect(await failure).toBe("stop");
  });

  test("the stages see their own signal abort with the same reason, whether they asked for it before or after", async () => {
    const controller = new AbortController();
    const before: AbortSignal[] = [];
    const contexts: Context[] = [];
    const asking = pipeline().use((ctx, message, next) => {
      before.push(ctx.signal);
      return ignoring(ctx, message, next);
    });
    const keeping = pipeline().use((ctx, message, next) => {
      contexts.push(ctx);
      return ignoring(ctx, message, next);
    });
    const ctx = createContext({ signal: controller.signal });
    const failures = [asking, keeping].map((orders) => rejectionOf(orders.process(ctx, order)));

    controller.abort("stop");

    await Promise.all(failures);
    expect(before[0]?.reason).toBe("stop");
    expect(contexts[0]?.signal.reason).toBe("stop");
  });

  test("before the message came, no stage is started", async () => {
    const ran: string[] = [];
    const orders = pipeline().use(async () => void ran.push("ran"));

    await expect(orders.process(createContext({ signal: AbortSignal.abort("stop") }), order)).rejects.toBe("stop");

    expect(ran).toEqual([]);
  });

  test("all runs that share it fail, and those that have ended are left alone", async () => {
    const controller = new AbortController();
    const ctx = createContext({ signal: controller.signal });
    const orders = pipeline().use((each, message, next) => (message.id === "fast" ? Promise.resolve() : ignoring(each, message, next)));
    const fast = orders.process(ctx, createMessage({ ...order, id: "fast" }));
    const failures = ["a", "b", "c"].map((id) => rejectionOf(orders.process(ctx, createMessage({ ...order, id }))));
    await fast;

    controller.abort("stop");

    expect(await Promise.all(failures)).toEqual(["stop", "stop", "stop"]);
  });

  test("a pipeline inside a handler sees it abort too", async () => {
    const controller = new AbortController();
    const seen: Context[] = [];
    const inner = pipeline().use((ctx, message, next) => {
      seen.push(ctx);
      return ignoring(ctx, message, next);
    });
    const outer = pipeline().use((ctx, message) => inner.process(ctx, message));
    const failure = rejectionOf(outer.process(createContext({ signal: controller.signal }), order));

    controller.abort("stop");

    expect(await failure).toBe("stop");
    expect(seen[0]?.signal.reason).toBe("stop");
  });

  test("that a stage has given to the stages behind, a pipeline inside a handler ends with it", async () => {
    const controller = new AbortController();
    const inner = pipeline().use(ignoring);
    const outer = pipeline()
      .use((ctx, message, next) => next(deriveContext(ctx, { signal: controller.signal }), message))
      .use((ctx, message) => inner.process(ctx, message));
    const failure = rejectionOf(outer.process(createContext(), order));

    controller.abort("stop");

    expect(await failure).toMatchObject({ cause: "stop" });
  });

  test("what a stage does afterwards disturbs nobody", async () => {
    const clock = virtualClock();
    const controller = new AbortController();
    const late: StageFunction = async () => {
      await new Promise<void>((resolve) => clock.after(100, resolve));
      throw new Error("too late to tell");
    };
    const failure = rejectionOf(
      pipeline()
        .use(late)
        .process(createContext({ clock, signal: controller.signal }), order),
    );
    controller.abort("stop");

    await clock.advance(100);

    expect(await failure).toBe("stop");
  });
});

test("however many messages share a signal, a pipeline listens to it once", async () => {
  const { signal } = new AbortController();
  const orders = pipeline().use(async () => {});

  await Promise.all(Array.from({ length: 50 }, () => orders.process(createContext({ signal }), order)));

  expect(getEventListeners(signal, "abort").length).toBeLessThanOrEqual(1);
});

describe("when the deadline passes", () => {
  test("the message fails with a retryable TimeoutError, even where a stage ignores its signal", async () => {
    const clock = virtualClock({ now: 1_000 });
    const seen: Context[] = [];
    const run = pipeline()
      .use((ctx, message, next) => {
        seen.push(ctx);
        return ignoring(ctx, message, next);
      })
      .process(createContext({ clock, deadline: 3_000 }), order);
    const failure = rejectionOf(run.finally(() => seen.push(createContext({ deadline: clock.now() }))));

    await clock.advance(5_000);

    const error = await failure;
    expect(error).toMatchObject({ code: "ERR_TIMEOUT", retryable: true, message: expect.stringContaining("o-1") });
    expect(seen[0]?.signal.reason).toBe(error);
    expect(seen[1]?.deadline).toBe(3_000);
  });

  test("before the message came, no stage is started", async () => {
    const ran: string[] = [];
    const orders = pipeline().use(async () => void ran.push("ran"));

    await expect(orders.process(createContext({ clock: virtualClock({ now: 500 }), deadline: 500 }), order)).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
    });

    expect(ran).toEqual([]);
  });

  test("each message has its own, whatever the order they came in", async () => {
    const clock = virtualClock();
    const orders = pipeline().use(ignoring);
    const timeOf = (deadline: number): Promise<number> =>
      orders.process(createContext({ clock, deadline }), order).then(
        () => -1,
        () => clock.now(),
      );
    const times = [900, 100, 2_000, 300].map(timeOf);

    await clock.advance(3_000);

    expect(await Promise.all(times)).toEqual([900, 100, 2_000, 300]);
  });
});

test("pipeline({ deadline }) counts from when the message came, where its context has none", async () => {
  const clock = virtualClock({ now: 1_000 });
  const deadlines: (number | undefined)[] = [];
  const orders = pipeline({ deadline: 100 }).use(async (ctx) => void deadlines.push(ctx.deadline));

  await orders.process(createContext({ clock }), order);

  expect(deadlines).toEqual([1_100]);
});

test.each([0, -1, NaN])("a default deadline of %d is refused", (deadline) => {
  expect(() => pipeline({ deadline })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test("soon after the last message no timer is left", async () => {
  const clock = virtualClock();
  await pipeline({ deadline: 60_000 })
    .use(async () => {})
    .process(createContext({ clock }), order);

  await clock.advance(1_000);

  expect(clock.pending).toBe(0);
});

test.each([
  { own: 100, given: 200 },
  { own: 200, given: 100 },
])("of a deadline of its own ($own ms) and its context's ($given ms) the sooner one counts", async ({ own, given }) => {
  const clock = virtualClock();
  const stuck = pipeline({ deadline: own }).use(() => new Promise<void>(() => {}));
  const run = stuck.process(createContext({ clock, deadline: given }), order).catch((error: unknown) => ({ error, at: clock.now() }));

  await clock.advance(200);

  expect(await run).toMatchObject({ error: { code: "ERR_TIMEOUT" }, at: 100 });
});
