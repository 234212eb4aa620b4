import { expect, test, vi } from "vitest";

import type { Next } from "../../src/pipeline/handler.ts";

import { createContext, type Logger, silentLogger } from "../../src/context.ts";
import { tap } from "../../src/handlers/tap.ts";
import { createMessage } from "../../src/message.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "secret" });
const next = vi.fn<Next>(() => Promise.resolve());

test("the function sees the message and the context, and the very message is passed on afterwards", async () => {
  const steps: unknown[] = [];
  const ctx = createContext({ attempt: 2 });
  const look = tap(async (message, { attempt }) => void steps.push("looked", message, attempt));

  await look.process(ctx, order, async (_ctx, message) => void steps.push("passed", message));

  expect(steps).toEqual(["looked", order, 2, "passed", order]);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("broken tap");
    },
  ],
  ["rejects", () => Promise.reject(new Error("broken tap"))],
] satisfies [string, () => Promise<void>][])("a function that %s fails the message", async (_how, look) => {
  await expect(tap(look).process(createContext(), order, next)).rejects.toThrow("broken tap");

  expect(next).not.toHaveBeenCalled();
});

test("with onError log, a failure is logged with the message's names and the message goes on", async () => {
  const error = vi.fn<Logger["error"]>();
  const broken = new Error("broken tap");

  await tap(() => Promise.reject(broken), { onError: "log" }).process(createContext({ logger: { ...silentLogger, error } }), order, next);

  expect(next).toHaveBeenCalledOnce();
  expect(error).toHaveBeenCalledWith({ err: broken, id: "o-1", key: "order-1", source: "orders" }, expect.any(String));
});

test("with onError log, a failure of the stages behind is still the message's own", async () => {
  const down = new Error("down");

  await expect(tap(() => {}, { onError: "log" }).process(createContext(), order, () => Promise.reject(down))).rejects.toBe(down);
});

test("with onError log, what fails because the signal has aborted ends the message", async () => {
  const controller = new AbortController();
  const look = tap(
    (_message, ctx) => {
      controller.abort("stop");
      ctx.signal.throwIfAborted();
    },
    { onError: "log" },
  );

  await expect(look.process(createContext({ signal: controller.signal }), order, next)).rejects.toBe("stop");
  expect(next).not.toHaveBeenCalled();
});

test("an onError that does not exist is refused", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => tap(() => {}, { onError: "ignore" })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("onError") }),
  );
});
