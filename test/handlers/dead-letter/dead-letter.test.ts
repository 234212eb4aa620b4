import { describe, expect, test, vi } from "vitest";

import type { DeadLetter } from "../../../src/handlers/dead-letter/entry.ts";
import type { EventStore } from "../../../src/stores/event-store.ts";

import { type Context, createContext, type Logger, silentLogger } from "../../../src/context.ts";
import { EventDriverError, RetryAfterError, TerminalError } from "../../../src/errors.ts";
import { deadLetter, type DeadLetterOptions } from "../../../src/handlers/dead-letter/dead-letter.ts";
import { deadLetters } from "../../../src/dead-letters/dead-letters.ts";
import { retry } from "../../../src/handlers/retry.ts";
import { createMessage, withContent } from "../../../src/message.ts";
import { deadLetterInFront } from "../../../src/pipeline/dead-letter-in-front.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../../src/testing/faulty-event-store.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { rejectionOf } from "../rejection-of.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "secret", attributes: { client: "a" } });
const refused = new TerminalError("card refused");
const down = new Error("down");

test("a message that passes leaves nothing behind", async () => {
  const store = memoryEventStore();

  await run(store, () => Promise.resolve());

  expect(await deadLetters(store).list()).toEqual([]);
});

test("a terminal failure is put aside and ends the message successfully", async () => {
  const store = memoryEventStore();
  const clock = virtualClock({ now: 5_000 });

  await run(store, () => Promise.reject(refused), {}, createContext({ clock, attempt: 3 }));

  expect(await only(store)).toMatchObject({
    message: order,
    failure: { code: "ERR_TERMINAL", message: "card refused", causes: [], retryable: false },
    attempts: 3,
    firstFailedAt: 5_000,
    lastFailedAt: 5_000,
    expiresAt: 5_000 + 14 * 86_400_000,
  });
});

test("a retryable failure is thrown on as it is, for its sender to redeliver", async () => {
  const store = memoryEventStore();

  await expect(run(store, () => Promise.reject(down))).rejects.toBe(down);

  expect(await deadLetters(store).list()).toEqual([]);
});

test("exhausted retries are retryable still, so they are thrown on too", async () => {
  const store = memoryEventStore();
  const orders = pipeline()
    .use(deadLetter({ store }))
    .use(retry({ maxAttempts: 2, baseDelay: 0 }))
    .use(() => Promise.reject(down));

  await expect(orders.process(createContext(), order)).rejects.toMatchObject({ code: "ERR_RETRIES_EXHAUSTED", retryable: true });

  expect(await deadLetters(store).list()).toEqual([]);
});

test("from maxAttempts on, a retryable failure is put aside too", async () => {
  const store = memoryEventStore();
  const fail = (attempt: number): Promise<void> => run(store, () => Promise.reject(down), { maxAttempts: 3 }, createContext({ attempt }));

  await expect(fail(2)).rejects.toBe(down);
  await fail(3);

  expect(await only(store)).toMatchObject({ failure: { code: "ERR_HANDLER_FAILED", retryable: true }, attempts: 3 });
});

test("when decides what is put aside, whatever the attempt", async () => {
  const store = memoryEventStore();
  const busy = new RetryAfterError("busy", { retryAfter: 5 });
  const when = (error: unknown): boolean => error === busy;

  await expect(run(store, () => Promise.reject(refused), { when })).rejects.toBe(refused);
  await run(store, () => Promise.reject(busy), { when });

  expect((await only(store)).failure.code).toBe("ERR_RETRY_AFTER");
});

test("what fails after the signal has aborted is thrown on, for the caller has been told so", async () => {
  const store = memoryEventStore();
  const controller = new AbortController();
  const failing = async (): Promise<void> => {
    controller.abort("stop");
    throw refused;
  };

  await expect(run(store, failing, { when: () => true }, createContext({ signal: controller.signal }))).rejects.toBe(refused);

  expect(await deadLetters(store).list()).toEqual([]);
});

test("the stage that failed is named, and the one in a pipeline that a handler runs as well", async () => {
  const store = memoryEventStore();
  const inner = pipeline().use(async function refuse() {
    throw refused;
  });
  const orders = pipeline()
    .use(deadLetter({ store }))
    .use((ctx, message, next) => next(ctx, message))
    .use(async function charge(ctx, message) {
      await inner.process(ctx, message);
    });

  await orders.process(createContext(), order);

  expect((await only(store)).failure).toMatchObject({
    stage: "charge",
    code: "ERR_TERMINAL",
    message: expect.stringContaining("refuse"),
    causes: ["card refused"],
  });
});

test("the stack is kept only where that is asked for", async () => {
  const [without, withStack] = [memoryEventStore(), memoryEventStore()];

  await run(without, () => Promise.reject(refused));
  await run(withStack, () => Promise.reject(refused), { includeStack: true });

  expect((await only(without)).failure.stack).toBeUndefined();
  expect((await only(withStack)).failure.stack).toBe(refused.stack);
});

test("a long message and many causes are cut", async () => {
  const store = memoryEventStore();
  let error = new TerminalError("x".repeat(5_000));
  for (let depth = 0; depth < 20; depth += 1) error = new TerminalError("x".repeat(5_000), { cause: error });

  await run(store, () => Promise.reject(error));

  const { failure } = await only(store);
  expect(failure.message.length).toBeLessThan(1_010);
  expect(failure.causes).toHaveLength(5);
});

test("what is thrown without being an error is put aside too", async () => {
  const store = memoryEventStore();

  await run(store, () => Promise.reject("secret text"), { when: () => true });

  expect((await only(store)).failure.message).toBe("something other than an error was thrown (string)");
});

describe("a message that fails again", () => {
  test("replaces its entry, keeping the time of the first failure and counting on", async () => {
    const store = memoryEventStore();
    const clock = virtualClock({ now: 1_000 });
    const fail = (): Promise<void> => run(store, () => Promise.reject(refused), {}, createContext({ clock }));
    await fail();
    const { revision } = await only(store);
    await clock.advance(500);

    await fail();

    const letter = await only(store);
    expect(letter).toMatchObject({ attempts: 2, firstFailedAt: 1_000, lastFailedAt: 1_500, expiresAt: 1_500 + 14 * 86_400_000 });
    expect(letter.revision).not.toBe(revision);
  });

  test("leaves other messages of its key alone", async () => {
    const store = memoryEventStore();
    const fail = (id: string, source: string): Promise<void> =>
      run(store, () => Promise.reject(refused), {}, createContext(), createMessage({ ...order, id, source }));

    await fail("o-1", "orders");
    await fail("o-2", "orders");
    await fail("o-1", "bills");
    await fail("o-1", "orders");

    expect((await deadLetters(store).list()).map(({ message: { id, source } }) => `${source}/${id}`).toSorted()).toEqual([
      "bills/o-1",
      "orders/o-1",
      "orders/o-2",
    ]);
  });
});

describe("when the message cannot be put aside", () => {
  test.each(["lookUp", "persist"] as const)("because %s fails, it fails retryably with both errors", async (failing) => {
    const lost = new Error("disk gone");
    const store = faultyEventStore(memoryEventStore(), {
      decide: ({ operation }) => (operation === failing ? { kind: "fail", when: "before", error: lost } : undefined),
    });

    const error = await rejectionOf(run(store, () => Promise.reject(refused)));

    expect(error).toMatchObject({ code: "ERR_STORE_FAILED", retryable: true, message: expect.stringContaining("o-1") });
    expect(error).toMatchObject({ cause: { errors: [refused, lost] } });
  });

  test("though it was, as nobody could tell, its redelivery finds the same entry", async () => {
    const memory = memoryEventStore();
    const store = faultyEventStore(memory, { decide: ({ call }) => (call === 2 ? { kind: "fail", when: "after" } : undefined) });
    await rejectionOf(run(store, () => Promise.reject(refused)));

    await run(store, () => Promise.reject(refused));

    expect(await only(memory)).toMatchObject({ message: order, attempts: 2 });
  });

  test("because its content is neither text nor bytes, it fails and says where to put the dead letter", async () => {
    const error = await rejectionOf(
      run(memoryEventStore(), async (ctx) => deadLetterInFront.get(ctx)?.putAside(ctx, withContent(order, { total: 12 }), refused)),
    );

    expect(error).toMatchObject({ code: "ERR_STORE_FAILED", cause: { errors: [refused, { code: "ERR_UNSUPPORTED" }] } });
  });

  test("because the signal aborts meanwhile, nothing is said to be done", async () => {
    const controller = new AbortController();
    const store = faultyEventStore(memoryEventStore(), {
      decide: ({ operation }) => (operation === "persist" ? { kind: "hang", when: "before" } : undefined),
    });
    const failure = rejectionOf(run(store, () => Promise.reject(refused), {}, createContext({ signal: controller.signal })));
    await virtualClock().advance(0);

    controller.abort(new Error("stop"));

    expect(await failure).toMatchObject({ code: "ERR_STORE_FAILED", retryable: true });
  });
});

test("it tells the log which message failed and how, and nothing of its content", async () => {
  const error = vi.fn<Logger["error"]>();
  const orders = pipeline()
    .use(deadLetter({ store: memoryEventStore() }))
    .use(async function charge() {
      throw refused;
    });

  await orders.process(createContext({ logger: { ...silentLogger, error } }), order);

  expect(error).toHaveBeenCalledExactlyOnceWith(
    { id: "o-1", key: "order-1", source: "orders", code: "ERR_TERMINAL", stage: "charge" },
    expect.not.stringContaining("secret"),
  );
});

test("a scope of its own keeps it apart from another dead letter on the same store", async () => {
  const store = memoryEventStore();

  await run(store, () => Promise.reject(refused), { scope: "orders-dead" });

  expect(await deadLetters(store).list()).toEqual([]);
  expect(await deadLetters(store, "orders-dead").list()).toHaveLength(1);
});

test("retention is counted from the last failure", async () => {
  const store = memoryEventStore();

  await run(store, () => Promise.reject(refused), { retention: 100 }, createContext({ clock: virtualClock({ now: 1_000 }) }));

  expect((await only(store)).expiresAt).toBe(1_100);
});

test("it may not stand behind retry, which would never see the failure", () => {
  const stage = deadLetter({ store: memoryEventStore() });

  expect(() => pipeline().use(retry()).use(stage)).toThrow(expect.objectContaining({ code: "ERR_STAGE_ORDER" }));
});

test("an error of another copy of the package is understood", async () => {
  const store = memoryEventStore();
  const foreign = Object.assign(new Error("refused elsewhere"), {
    [Symbol.for("event-driver.error")]: true,
    code: "ERR_TERMINAL",
    retryable: false,
  });

  await run(store, () => Promise.reject(foreign));

  expect((await only(store)).failure).toMatchObject({ code: "ERR_TERMINAL", message: "refused elsewhere" });
});

test.each([
  [{ store: undefined }, "store"],
  [{ scope: 5 }, "scope"],
  [{ retention: 0 }, "retention"],
  [{ maxAttempts: 0 }, "maxAttempts"],
  [{ maxAttempts: 1.5 }, "maxAttempts"],
])("the options %j are refused by the name of %s", (options, name) => {
  // @ts-expect-error what a caller without types may do
  const create = (): unknown => deadLetter({ store: memoryEventStore(), ...options });

  expect(create).toThrow(EventDriverError);
  expect(create).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(name) }));
});

async function run(
  store: EventStore,
  next: (ctx: Context) => Promise<void>,
  options: Partial<DeadLetterOptions> = {},
  ctx: Context = createContext(),
  message = order,
): Promise<void> {
  await deadLetter({ store, ...options }).process(ctx, message, next);
}

async function only(store: EventStore): Promise<DeadLetter> {
  const letters = await deadLetters(store).list();
  const [letter] = letters;
  if (letter === undefined || letters.length > 1) throw new Error(`there are ${letters.length} dead letters, not one`);
  return letter;
}
