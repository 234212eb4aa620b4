import fc from "fast-check";
import { expect, test } from "vitest";

import { createContext, type EndReason } from "../../src/context.ts";
import { TerminalError } from "../../src/errors.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";

test("each message is settled by itself, in the order given", async () => {
  const refused = new TerminalError("no");
  const answer = message("answer");
  const orders = pipeline().use(async (ctx, { id }) => {
    if (id === "fails") throw refused;
    if (id === "answers") ctx.reply(answer);
    if (id === "ends") ctx.ended("filtered");
  });

  const settlements = await orders.processBatch(createContext(), [
    message("passes"),
    message("fails"),
    message("answers"),
    message("ends"),
  ]);

  expect(settlements).toMatchObject([
    { status: "done", reply: undefined, ended: undefined },
    { status: "failed", error: { cause: refused } },
    { status: "done", reply: answer, ended: undefined },
    { status: "done", reply: undefined, ended: "filtered" },
  ]);
});

test("replies and reasons of a batch go to its settlements, and not to its context", async () => {
  const told: unknown[] = [];
  const reasons: EndReason[] = [];
  const ctx = createContext({ onReply: (reply) => told.push(reply), onEnded: (reason) => reasons.push(reason) });
  const orders = pipeline().use(async (each, given) => {
    each.reply(given);
    each.ended("filtered");
  });

  await orders.processBatch(ctx, [message("a")]);

  expect([...told, ...reasons]).toEqual([]);
});

test("an empty batch settles nothing", async () => {
  expect(await pipeline().processBatch(createContext(), [])).toEqual([]);
});

test("one key keeps its order, different keys run side by side, and never more than the concurrency", async () => {
  const keys = fc.array(fc.constantFrom("a", "b", "c", "__proto__"), { maxLength: 20 });

  await fc.assert(
    fc.asyncProperty(keys, fc.integer({ min: 1, max: 4 }), fc.scheduler(), async (given, concurrency, scheduler) => {
      const running = new Map<string, number>();
      const order: Message[] = [];
      let most = 0;
      let mostOfAKey = 0;
      const orders = pipeline().use(async (_ctx, each) => {
        order.push(each);
        running.set(each.key, (running.get(each.key) ?? 0) + 1);
        mostOfAKey = Math.max(mostOfAKey, running.get(each.key) ?? 0);
        most = Math.max(
          most,
          [...running.values()].reduce((sum, count) => sum + count, 0),
        );
        await scheduler.schedule(Promise.resolve());
        running.set(each.key, (running.get(each.key) ?? 0) - 1);
        if (each.id.endsWith("3")) throw new Error("down");
      });

      const batch = given.map((key, index) => message(String(index), key));
      const settlements = await scheduler.waitFor(orders.processBatch(createContext(), batch, { concurrency }));

      expect(settlements.map(({ status }) => status)).toEqual(batch.map(({ id }) => (id.endsWith("3") ? "failed" : "done")));
      expect(mostOfAKey).toBeLessThanOrEqual(1);
      expect(most).toBe(Math.min(concurrency, new Set(given).size));
      for (const [key, ids] of Map.groupBy(order, (each) => each.key)) expect(ids).toEqual(batch.filter((each) => each.key === key));
    }),
    { numRuns: 100 },
  );
});

test("a failed message does not stop the next one of its key", async () => {
  const seen: string[] = [];
  const orders = pipeline().use(async (_ctx, { id }) => {
    seen.push(id);
    if (id === "a") throw new Error("down");
  });

  await orders.processBatch(createContext(), [message("a"), message("b")]);

  expect(seen).toEqual(["a", "b"]);
});

test("an abort fails every message that is not done, with its reason", async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const orders = pipeline().use((_ctx, { id }) => {
    seen.push(id);
    return id === "a" ? Promise.resolve() : new Promise(() => {});
  });
  const batch = orders.processBatch(createContext({ signal: controller.signal }), [message("a"), message("b"), message("c")]);
  await virtualClock().advance(0);

  controller.abort("stop");

  expect(await batch).toMatchObject([{ status: "done" }, { status: "failed", error: "stop" }, { status: "failed", error: "stop" }]);
  expect(seen).toEqual(["a", "b"]);
});

test("the context of the batch reaches every message, values included", async () => {
  const attempts: number[] = [];
  const orders = pipeline().use(async (ctx) => void attempts.push(ctx.attempt));

  await orders.processBatch(createContext({ attempt: 4 }), [message("a"), message("b", "other")]);

  expect(attempts).toEqual([4, 4]);
});

test.each([0, 1.5, NaN])("a concurrency of %d is refused", async (concurrency) => {
  await expect(pipeline().processBatch(createContext(), [], { concurrency })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
});

function message(id: string, key = "k"): Message {
  return createMessage({ id, key, source: "orders", content: "" });
}
