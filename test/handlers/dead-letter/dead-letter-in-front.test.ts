import { describe, expect, test, vi } from "vitest";

import type { EventStore } from "../../../src/stores/event-store.ts";

import { type Context, createContext } from "../../../src/context.ts";
import { TerminalError } from "../../../src/errors.ts";
import { deadLetter } from "../../../src/handlers/dead-letter/dead-letter.ts";
import { deadLetters } from "../../../src/dead-letters/dead-letters.ts";
import { createMessage } from "../../../src/message.ts";
import { deadLetterInFront } from "../../../src/pipeline/dead-letter-in-front.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../../src/testing/faulty-event-store.ts";
import { rejectionOf } from "../rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "secret" });
const refused = new TerminalError("card refused");
const down = new Error("down");

describe("what a stage behind registers for afterwards", () => {
  test("runs once the failure is durable, and before the message ends", async () => {
    const store = memoryEventStore();
    const seen: number[] = [];

    await run(store, async (ctx) => {
      deadLetterInFront.get(ctx)?.afterwards(async () => void seen.push((await deadLetters(store).list()).length));
      throw refused;
    });

    expect(seen).toEqual([1]);
  });

  test.each([
    ["passes", () => Promise.resolve()],
    ["fails retryably", () => Promise.reject(down)],
  ])("does not run when the message %s", async (_how, outcome: () => Promise<void>) => {
    const afterwards = vi.fn<() => Promise<void>>(() => Promise.resolve());

    await Promise.allSettled([
      run(memoryEventStore(), (ctx) => {
        deadLetterInFront.get(ctx)?.afterwards(afterwards);
        return outcome();
      }),
    ]);

    expect(afterwards).not.toHaveBeenCalled();
  });

  test("does not run when the store fails", async () => {
    const afterwards = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const store = faultyEventStore(memoryEventStore(), { decide: () => ({ kind: "fail", when: "before" }) });

    await rejectionOf(
      run(store, (ctx) => {
        deadLetterInFront.get(ctx)?.afterwards(afterwards);
        return Promise.reject(refused);
      }),
    );

    expect(afterwards).not.toHaveBeenCalled();
  });

  test("fails the message retryably when it fails itself, so that it is tried again", async () => {
    const unrecorded = new Error("claim store is down");

    const error = await rejectionOf(
      run(memoryEventStore(), (ctx) => {
        deadLetterInFront.get(ctx)?.afterwards(() => Promise.reject(unrecorded));
        return Promise.reject(refused);
      }),
    );

    expect(error).toMatchObject({ retryable: true, cause: { errors: [refused, unrecorded] } });
  });

  test("belongs to its own delivery", async () => {
    const store = memoryEventStore();
    const ran: string[] = [];
    const stage = deadLetter({ store });
    const deliver = (id: string, outcome: Promise<void>): Promise<void> =>
      stage.process(createContext(), createMessage({ ...order, id }), (ctx) => {
        deadLetterInFront.get(ctx)?.afterwards(async () => void ran.push(id));
        return outcome;
      });

    await Promise.all([deliver("fails", Promise.reject(refused)), deliver("passes", Promise.resolve())]);

    expect(ran).toEqual(["fails"]);
  });
});

test("a sweep behind it can put messages aside", async () => {
  const store = memoryEventStore();
  const orders = pipeline()
    .use(deadLetter({ store }))
    .use({
      process: (ctx, message, next) => next(ctx, message),
      async sweep(ctx) {
        await deadLetterInFront.get(ctx)?.putAside(ctx, order, refused);
        return { finished: 1, errors: [], more: false };
      },
    });

  expect(await orders.sweep(createContext())).toEqual({ finished: 1, errors: [], more: false });

  expect(await deadLetters(store).list()).toMatchObject([{ message: order }]);
});

async function run(store: EventStore, next: (ctx: Context) => Promise<void>): Promise<void> {
  await deadLetter({ store }).process(createContext(), order, next);
}
