import { expect, test } from "vitest";

import { createContext } from "../../src/context.ts";
import { TerminalError } from "../../src/errors.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { deadLetters } from "../../src/dead-letters/dead-letters.ts";
import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { matchAll } from "../../src/handlers/joiner/condition.ts";
import { joiner } from "../../src/handlers/joiner/joiner.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

const event = (source: string): Message => createMessage({ id: source, key: "order-1", source, content: "{}" });

test("a message that failed behind idempotency runs again when it is replayed, and is done afterwards", async () => {
  const { store, handler, handled } = failingOnce();
  const orders = pipeline().use(deadLetter({ store })).use(idempotency({ store })).use(handler);
  await orders.process(createContext(), event("orders"));

  const replayed = await replayAll();
  await orders.process(createContext(), event("orders"));

  expect(replayed).toEqual(["done"]);
  expect(handled).toEqual(["failed", "orders"]);
  expect(await deadLetters(store).list()).toEqual([]);

  async function replayAll(): Promise<readonly string[]> {
    return Promise.all((await deadLetters(store).list()).map((letter) => deadLetters(store).replay(orders, letter)));
  }
});

test("an emission that failed behind a joiner goes out again, under its id, when the event that caused it is replayed", async () => {
  const { store, handler, handled } = failingOnce();
  const ids: string[] = [];
  const orders = pipeline()
    .use(deadLetter({ store }))
    .use(joiner({ store, condition: matchAll("event1", "event2") }))
    .use(idempotency({ store }))
    .use(async (ctx, message, next) => {
      ids.push(message.id);
      await next(ctx, message);
    })
    .use(handler);
  await orders.process(createContext(), event("event1"));
  await orders.process(createContext(), event("event2"));
  const [letter] = await deadLetters(store).list();

  const outcome = letter && (await deadLetters(store).replay(orders, letter));

  expect(outcome).toBe("done");
  expect(handled).toEqual(["failed", "composed-event"]);
  expect(new Set(ids).size).toBe(1);
});

test("steps that have a result are not run again by a replay", async () => {
  const store = memoryEventStore();
  const charged: string[] = [];
  let attempts = 0;
  const orders = pipeline()
    .use(deadLetter({ store }))
    .use(idempotency({ store }))
    .use(async (ctx, message) => {
      await ctx.step("charge", () => void charged.push(message.id));
      attempts += 1;
      if (attempts === 1) throw new TerminalError("no address");
    });
  await orders.process(createContext(), event("orders"));
  const [letter] = await deadLetters(store).list();

  const outcome = letter && (await deadLetters(store).replay(orders, letter));

  expect(outcome).toBe("done");
  expect(charged).toEqual(["orders"]);
});

function failingOnce() {
  const handled: string[] = [];
  const handler = async (_ctx: unknown, message: Message): Promise<void> => {
    if (handled.length === 0) {
      handled.push("failed");
      throw new TerminalError("not like this");
    }
    handled.push(message.source);
  };
  return { store: memoryEventStore(), handler, handled };
}
