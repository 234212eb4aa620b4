import { expect, test, vi } from "vitest";

import type { Next } from "../../src/pipeline/handler.ts";

import { createContext, type EndReason } from "../../src/context.ts";
import { filter } from "../../src/handlers/filter.ts";
import { createMessage, isType } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", type: "order.created", content: "{}" });
const next = vi.fn<Next>(() => Promise.resolve());

test("a message for which the predicate holds is passed on as it is", async () => {
  await filter((message) => isType(message, "order.created")).process(createContext(), order, next);

  expect(next.mock.calls.map(([, message]) => message)).toEqual([order]);
});

test("any other message ends there, successfully, as filtered", async () => {
  const ended: EndReason[] = [];
  const ctx = createContext({ onEnded: (reason) => ended.push(reason) });

  await filter((message) => isType(message, "order.cancelled")).process(ctx, order, next);

  expect(next).not.toHaveBeenCalled();
  expect(ended).toEqual(["filtered"]);
});

test.each([true, false])("an asynchronous predicate that resolves to %s is waited for", async (kept) => {
  const ended: EndReason[] = [];

  await filter(async () => kept).process(createContext({ onEnded: (reason) => ended.push(reason) }), order, next);

  expect(next).toHaveBeenCalledTimes(kept ? 1 : 0);
  expect(ended).toEqual(kept ? [] : ["filtered"]);
});

test("the predicate is given the context", async () => {
  await filter((_message, ctx) => ctx.attempt > 1).process(createContext({ attempt: 2 }), order, next);

  expect(next).toHaveBeenCalledOnce();
});

test("a predicate that throws fails the message instead of dropping it", async () => {
  const orders = pipeline().use(
    filter(() => {
      throw new Error("broken predicate");
    }),
  );

  await expect(orders.process(createContext(), order)).rejects.toMatchObject({ stage: "filter", cause: new Error("broken predicate") });
});

test("something other than a function is refused", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => filter("order.created")).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});
