import { describe, expect, test, vi } from "vitest";

import { contextValue, createContext, deriveContext, type EndReason, type Logger, silentLogger } from "../src/context.ts";
import { createMessage, type Message } from "../src/message.ts";
import { pipeline } from "../src/pipeline/pipeline.ts";
import { virtualClock } from "../src/testing/virtual-clock.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "" });

test("what a context is given reaches every stage", async () => {
  const clock = virtualClock({ now: 5 });
  const info = vi.fn<Logger["info"]>();
  const ctx = createContext({ clock, logger: { ...silentLogger, info }, attempt: 3, deadline: 100 });
  const seen: unknown[] = [];
  const orders = pipeline()
    .use((each, message, next) => next(each, message))
    .use(async (each) => {
      seen.push(each.clock, each.attempt, each.deadline);
      each.logger.info({ id: "o-1" }, "seen");
    });

  await orders.process(ctx, order);

  expect(seen).toEqual([clock, 3, 100]);
  expect(info).toHaveBeenCalledWith({ id: "o-1" }, "seen");
});

test("a reply and the reason of an early end reach the caller, through derived contexts too", async () => {
  const replies: Message[] = [];
  const reasons: EndReason[] = [];
  const ctx = createContext({ onReply: (reply) => replies.push(reply), onEnded: (reason) => reasons.push(reason) });
  const orders = pipeline()
    .use((each, message, next) => next(deriveContext(each, { tenant: "acme" }), message))
    .use(async (each, message) => {
      each.reply(message);
      each.ended("filtered");
    });

  await orders.process(ctx, order);

  expect(replies).toEqual([order]);
  expect(reasons).toEqual(["filtered"]);
});

test("a signal that nobody gave never aborts, and is the same each time it is asked for", () => {
  const ctx = createContext();

  expect(ctx.signal.aborted).toBe(false);
  expect(ctx.signal).toBe(ctx.signal);
});

describe("deriveContext", () => {
  test("adds properties for the stages behind, and leaves the context as it was", () => {
    const ctx = createContext({ attempt: 2 });

    const derived = deriveContext(ctx, { tenant: "acme" });

    expect(derived.tenant).toBe("acme");
    expect(derived.attempt).toBe(2);
    expect("tenant" in ctx).toBe(false);
  });

  test("replaces whatever a context holds, over and over, and nothing else", () => {
    const clock = virtualClock();
    const { signal } = new AbortController();
    const logger = { ...silentLogger };
    const reply = (): void => {};
    const added = { attempt: 7, clock, signal, logger, deadline: 9, reply, tenant: "acme" };

    const derived = deriveContext(deriveContext(createContext({ attempt: 1 }), added), { other: 1 });

    expect(derived).toMatchObject({ attempt: 7, deadline: 9, tenant: "acme", other: 1 });
    expect(derived.clock).toBe(clock);
    expect(derived.signal).toBe(signal);
    expect(derived.logger).toBe(logger);
    expect(derived.reply).toBe(reply);
    expect(deriveContext(derived, { attempt: 8 })).toMatchObject({ attempt: 8, tenant: "acme", deadline: 9 });
  });

  test("survives a pipeline that a handler runs", async () => {
    const seen: unknown[] = [];
    const inner = pipeline().use(async (ctx) => void seen.push("tenant" in ctx && ctx.tenant, ctx.attempt));
    const outer = pipeline()
      .use((ctx, message, next) => next(deriveContext(ctx, { tenant: "acme", attempt: 5 }), message))
      .use((ctx, message) => inner.process(ctx, message));

    await outer.process(createContext(), order);

    expect(seen).toEqual(["acme", 5]);
  });

  test("works on a context that somebody else has made", () => {
    const foreign = { ...silentContext(), attempt: 3 };

    const derived = deriveContext(foreign, { tenant: "acme" });

    expect([derived.tenant, derived.attempt]).toEqual(["acme", 3]);
  });
});

test("a pipeline runs on a context that somebody else has made, with its signal, reply and reasons", async () => {
  const controller = new AbortController();
  const told: unknown[] = [];
  const foreign = {
    ...silentContext(),
    signal: controller.signal,
    reply: (reply: Message) => void told.push(reply),
    ended: (reason: EndReason) => void told.push(reason),
  };
  const orders = pipeline().use(async (ctx, message) => {
    ctx.reply(message);
    ctx.ended("late");
    controller.abort("stop");
    await new Promise(() => {});
  });

  await expect(orders.process(foreign, order)).rejects.toBe("stop");

  expect(told).toEqual([order, "late"]);
});

describe("a context value", () => {
  const tenant = contextValue<string>("tenant");

  test("is there behind where it was set, until it is set anew, and nowhere else", () => {
    const ctx = createContext();
    const set = tenant.set(ctx, "acme");

    expect(tenant.get(ctx)).toBeUndefined();
    expect(tenant.get(set)).toBe("acme");
    expect(tenant.get(deriveContext(set, { attempt: 2 }))).toBe("acme");
    expect(tenant.get(tenant.set(set, "other"))).toBe("other");
    expect(tenant.get(set)).toBe("acme");
  });

  test("is there behind a context that somebody else has made", () => {
    const foreign = { ...silentContext() };

    const behind = tenant.set(foreign, "acme");

    expect(tenant.get(behind)).toBe("acme");
    expect(tenant.get(foreign)).toBeUndefined();
  });

  test("never meets another one of the same name", () => {
    const other = contextValue<string>("tenant");

    expect(other.get(tenant.set(createContext(), "acme"))).toBeUndefined();
  });

  test("travels through a pipeline and one inside it", async () => {
    const seen: unknown[] = [];
    const inner = pipeline().use(async (ctx) => void seen.push(tenant.get(ctx)));
    const outer = pipeline()
      .use((ctx, message, next) => next(tenant.set(ctx, "acme"), message))
      .use((ctx, message, next) => next(ctx, message))
      .use((ctx, message) => inner.process(ctx, message));

    await outer.process(createContext(), order);

    expect(seen).toEqual(["acme"]);
  });

  test("may be undefined's like: false, 0 and the empty text are values", () => {
    const flag = contextValue<boolean | number | string>("flag");

    expect([false, 0, ""].map((value) => flag.get(flag.set(createContext(), value)))).toEqual([false, 0, ""]);
  });
});

function silentContext(): ReturnType<typeof createContext> {
  const { signal, clock, logger } = createContext();
  return { signal, clock, logger, deadline: undefined, attempt: 1, reply() {}, ended() {} };
}
