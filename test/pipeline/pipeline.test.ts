import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";

import type { Message } from "../../src/message.ts";
import type { Handler, StageFunction } from "../../src/pipeline/handler.ts";

import { type Context, createContext } from "../../src/context.ts";
import { RetryAfterError, StageError, TerminalError } from "../../src/errors.ts";
import { retry } from "../../src/handlers/retry.ts";
import { createMessage, withContent } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { rejectionOf } from "../handlers/rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "" });
const down = new Error("down");

test("stages run in the order they were added, and come back in the opposite one", async () => {
  const steps: string[] = [];
  const around =
    (name: string): StageFunction =>
    async (ctx, message, next) => {
      steps.push(`${name} in`);
      await next(ctx, message);
      steps.push(`${name} out`);
    };

  await pipeline().use(around("a")).use(around("b")).use(around("c")).process(createContext(), order);

  expect(steps).toEqual(["a in", "b in", "c in", "c out", "b out", "a out"]);
});

test("any number of stages sees what the stage in front has passed on", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string(), { maxLength: 12 }), async (pieces) => {
      const seen: Message[] = [];
      const append =
        (piece: string): StageFunction =>
        (ctx, message, next) =>
          next(ctx, withContent(message, `${String(message.content)}${piece}`));

      await pieces
        .reduce((stages, piece) => stages.use(append(piece)), pipeline())
        .use(async (_ctx, message) => void seen.push(message))
        .process(createContext(), order);

      expect(seen).toEqual([{ ...order, content: pieces.join("") }]);
    }),
  );
});

test("without stages a message passes", async () => {
  await expect(pipeline().process(createContext(), order)).resolves.toBeUndefined();
});

test("a stage that does not call next ends the message there, successfully", async () => {
  const behind = vi.fn<StageFunction>(() => Promise.resolve());

  await pipeline()
    .use(async () => {})
    .use(behind)
    .process(createContext(), order);

  expect(behind).not.toHaveBeenCalled();
});

test("process waits for the last stage", async () => {
  const clock = virtualClock();
  const steps: string[] = [];
  const slow = async (): Promise<void> => {
    await new Promise<void>((resolve) => clock.after(100, resolve));
    steps.push("worked");
  };
  const run = pipeline()
    .use(slow)
    .process(createContext({ clock }), order)
    .then(() => steps.push("processed"));

  await clock.advance(100);

  await run;
  expect(steps).toEqual(["worked", "processed"]);
});

test("use leaves the pipeline it is called on as it was", async () => {
  const extra = vi.fn<StageFunction>((ctx, message, next) => next(ctx, message));
  const base = pipeline().use((ctx, message, next) => next(ctx, message));
  const longer = base.use(extra);

  await base.process(createContext(), order);

  expect(extra).not.toHaveBeenCalled();
  expect([base.stages.length, longer.stages.length]).toEqual([1, 2]);
});

test("a handler object is called as a method of itself", async () => {
  class Counter implements Handler {
    readonly traits = { name: "counter" };
    count = 0;

    async process(ctx: Context, message: Message, next: Parameters<StageFunction>[2]): Promise<void> {
      this.count += 1;
      await next(ctx, message);
    }
  }
  const counter = new Counter();

  await pipeline().use(counter).process(createContext(), order);

  expect(counter.count).toBe(1);
});

test("stages are known by their traits, by the name of their function, or by their place", () => {
  async function charge(): Promise<void> {}

  const { stages } = pipeline()
    .use(retry())
    .use(charge)
    .use(async () => {})
    .use({ process: async () => {} });

  expect(stages.map(({ name }) => name)).toEqual(["retry", "charge", "stage 2", "stage 3"]);
});

test.each([undefined, null, "stage", {}, { process: "no function" }])("%j is refused as a stage, by its place", (stage) => {
  // @ts-expect-error what a caller without types may do
  expect(() => pipeline().use(retry()).use(stage)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("stage 1") }),
  );
});

describe("the failure of a stage", () => {
  const through: StageFunction = (ctx, message, next) => next(ctx, message);
  const awaiting: StageFunction = async (ctx, message, next) => {
    await next(ctx, message);
  };

  test.each([
    ["rejects", () => Promise.reject(down)],
    [
      "rejects later",
      async () => {
        await Promise.resolve();
        throw down;
      },
    ],
    [
      "throws before it returns a promise",
      () => {
        throw down;
      },
    ],
  ] satisfies [string, StageFunction][])("that %s names it and its place, with the failure as cause", async (_how, stage) => {
    const charge: Handler = { traits: { name: "charge" }, process: stage };

    const error = await rejectionOf(pipeline().use(through).use(awaiting).use(charge).use(through).process(createContext(), order));

    expect(error).toBeInstanceOf(StageError);
    expect(error).toMatchObject({ stage: "charge", index: 2, cause: down, message: expect.stringContaining("o-1") });
  });

  test("is found at whatever place among stages that pass it on", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), fc.nat(), async (kinds, seed) => {
        const place = seed % kinds.length;
        const stages = kinds.map((direct, index) => (index === place ? () => Promise.reject(down) : direct ? through : awaiting));

        const error = await rejectionOf(stages.reduce((built, stage) => built.use(stage), pipeline()).process(createContext(), order));

        expect(error).toMatchObject({ index: place, cause: down });
      }),
    );
  });

  test("belongs to the stage that has made another error of it", async () => {
    const wrapped = new Error("wrapped", { cause: down });
    const wrapping: StageFunction = (ctx, message, next) => next(ctx, message).catch(() => Promise.reject(wrapped));

    const error = await rejectionOf(
      pipeline()
        .use(through)
        .use(wrapping)
        .use(() => Promise.reject(down))
        .process(createContext(), order),
    );

    expect(error).toMatchObject({ index: 1, cause: wrapped });
  });

  test("after a stage behind had failed and was run again is found all the same", async () => {
    let runs = 0;
    const orders = pipeline()
      .use(retry({ baseDelay: 0 }))
      .use(async function reserve(ctx, message, next) {
        runs += 1;
        if (runs === 1) throw new Error("not yet");
        await next(ctx, message);
      })
      .use(async function charge() {
        throw new TerminalError("refused");
      });

    expect(await rejectionOf(orders.process(createContext(), order))).toMatchObject({ stage: "charge", index: 2, code: "ERR_TERMINAL" });
    expect(runs).toBe(2);
  });

  test("that another run of the same pipeline meets meanwhile is kept apart", async () => {
    const clock = virtualClock();
    const orders = pipeline()
      .use(async function reserve(ctx, message, next) {
        await new Promise<void>((resolve) => clock.after(100, resolve));
        if (message.id === "o-1") throw down;
        await next(ctx, message);
      })
      .use(async function charge() {
        throw down;
      });
    const failures = ["o-1", "o-2"].map((id) => rejectionOf(orders.process(createContext({ clock }), createMessage({ ...order, id }))));

    await clock.advance(100);

    expect(await Promise.all(failures)).toMatchObject([{ stage: "reserve" }, { stage: "charge" }]);
  });

  test("carries code, retryable and retryAfter of its cause", async () => {
    const fail = (error: unknown): Promise<unknown> =>
      rejectionOf(
        pipeline()
          .use(() => Promise.reject(error))
          .process(createContext(), order),
      );

    expect(await fail(new TerminalError("no"))).toMatchObject({ code: "ERR_TERMINAL", retryable: false, retryAfter: undefined });
    expect(await fail(new RetryAfterError("busy", { retryAfter: 5 }))).toMatchObject({
      code: "ERR_RETRY_AFTER",
      retryable: true,
      retryAfter: 5,
    });
    expect(await fail(down)).toMatchObject({ code: "ERR_HANDLER_FAILED", retryable: true, retryAfter: undefined });
    expect(await fail("text")).toMatchObject({ code: "ERR_HANDLER_FAILED", retryable: true, cause: "text" });
  });

  test("of a pipeline inside a handler names the stages of both", async () => {
    const inner = pipeline().use(async function refuse() {
      throw new TerminalError("no");
    });
    const outer = pipeline()
      .use(through)
      .use(async function charge(ctx, message) {
        await inner.process(ctx, message);
      });

    expect(await rejectionOf(outer.process(createContext(), order))).toMatchObject({
      stage: "charge",
      index: 1,
      code: "ERR_TERMINAL",
      cause: { stage: "refuse", index: 0, code: "ERR_TERMINAL" },
    });
  });

  test("behind a context that a stage made up is still reported, with its cause", async () => {
    const madeUp: StageFunction = (ctx, message, next) =>
      next({ ...createContext(), clock: ctx.clock, logger: ctx.logger, reply() {}, ended() {} }, message);

    const error = await rejectionOf(
      pipeline()
        .use(madeUp)
        .use(() => Promise.reject(down))
        .process(createContext(), order),
    );

    expect(error).toMatchObject({ cause: down });
  });
});

describe("a sweep", () => {
  const nothing = { finished: 0, errors: [], more: false };

  test("asks every stage that sweeps, in order, and adds up what they did", async () => {
    const sweeping = (finished: number, more: boolean, errors: readonly unknown[]): Handler => ({
      process: (ctx, message, next) => next(ctx, message),
      sweep: () => Promise.resolve({ finished, errors, more }),
    });

    const report = await pipeline()
      .use(sweeping(1, false, []))
      .use(async () => {})
      .use(sweeping(2, true, [down]))
      .sweep();

    expect(report).toEqual({ finished: 3, errors: [down], more: true });
  });

  test("continues with the stages behind the one that sweeps, named by their place", async () => {
    const seen: unknown[] = [];
    const emitting: Handler = {
      process: (ctx, message, next) => next(ctx, message),
      async sweep(ctx, next) {
        await next(ctx, order);
        seen.push(await rejectionOf(next(ctx, createMessage({ ...order, id: "o-2" }))));
        return nothing;
      },
    };
    const front = vi.fn<StageFunction>((ctx, message, next) => next(ctx, message));

    await pipeline()
      .use(front)
      .use(emitting)
      .use(async function charge(_ctx, message) {
        if (message.id === "o-2") throw down;
        seen.push(message);
      })
      .sweep();

    expect(front).not.toHaveBeenCalled();
    expect(seen).toMatchObject([order, { stage: "charge", index: 2, cause: down }]);
  });

  test("that fails as a whole in one stage is reported, and the stages behind still have theirs", async () => {
    const report = await pipeline()
      .use({ process: async () => {}, sweep: () => Promise.reject(down) })
      .use({ process: async () => {}, sweep: () => Promise.resolve({ finished: 1, errors: [], more: false }) })
      .sweep();

    expect(report).toEqual({ finished: 1, errors: [down], more: false });
  });
});
