import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Message } from "../../src/message.ts";
import type { Next } from "../../src/pipeline/handler.ts";

import { type Context, createContext } from "../../src/context.ts";
import { concurrency } from "../../src/handlers/concurrency.ts";
import { createMessage } from "../../src/message.ts";

test("no more than the limit are behind it at once, and all get there in the order they came", async () => {
  const work = controlledWork();
  const stage = concurrency({ limit: 2 });
  const runs = ["a", "b", "c", "d"].map((id) => stage.process(createContext(), message(id, `key of ${id}`), work.next));
  await settled();
  expect(work.running).toEqual(["a", "b"]);

  work.finish("b");
  await settled();
  expect(work.running).toEqual(["a", "c"]);
  work.finish("a");
  await settled();
  expect(work.running).toEqual(["c", "d"]);

  work.finish("c");
  work.finish("d");
  await Promise.all(runs);
  expect(work.started).toEqual(["a", "b", "c", "d"]);
});

test("a message that comes when a place has just been given away waits like any other", async () => {
  const work = controlledWork();
  const stage = concurrency({ limit: 1 });
  const runs = ["a", "b"].map((id) => stage.process(createContext(), message(id), work.next));
  work.finish("a");
  await settled();

  runs.push(stage.process(createContext(), message("c"), work.next));
  await settled();

  expect(work.running).toEqual(["b"]);
  work.finish("b");
  await settled();
  work.finish("c");
  await Promise.all(runs);
});

test("a failure gives its place away as a success does", async () => {
  const work = controlledWork();
  const stage = concurrency({ limit: 1 });
  const first = stage.process(createContext(), message("a"), work.next);
  const second = stage.process(createContext(), message("b"), work.next);

  work.fail("a", new Error("down"));
  await expect(first).rejects.toThrow("down");
  await settled();

  expect(work.running).toEqual(["b"]);
  work.finish("b");
  await second;
});

test("a stage that throws before it returns a promise gives its place away", async () => {
  const stage = concurrency({ limit: 1 });
  const broken = (): Promise<void> => {
    throw new Error("broken");
  };

  await expect(stage.process(createContext(), message("a"), broken)).rejects.toThrow("broken");

  await expect(stage.process(createContext(), message("b"), () => Promise.resolve())).resolves.toBeUndefined();
});

test("who finds the queue full fails retryably, and is told when to come again", async () => {
  const work = controlledWork();
  const stage = concurrency({ limit: 1, queue: 1, retryAfter: 250 });
  const runs = ["a", "b"].map((id) => stage.process(createContext(), message(id), work.next));

  const refused = stage.process(createContext(), message("c"), work.next);

  await expect(refused).rejects.toMatchObject({
    code: "ERR_OVERLOADED",
    retryable: true,
    retryAfter: 250,
    message: expect.stringContaining('"c"'),
  });
  work.finish("a");
  await settled();
  work.finish("b");
  await Promise.all(runs);
  expect(work.started).toEqual(["a", "b"]);
});

test("a queue of 0 lets nobody wait", async () => {
  const work = controlledWork();
  const stage = concurrency({ limit: 1, queue: 0 });
  const run = stage.process(createContext(), message("a"), work.next);

  await expect(stage.process(createContext(), message("b"), work.next)).rejects.toMatchObject({ code: "ERR_OVERLOADED" });

  work.finish("a");
  await run;
});

describe("a message whose signal aborts", () => {
  test("leaves the queue with the reason, and its place in it goes to another", async () => {
    const work = controlledWork();
    const controller = new AbortController();
    const stage = concurrency({ limit: 1, queue: 1 });
    const first = stage.process(createContext(), message("a"), work.next);
    const waiting = stage.process(createContext({ signal: controller.signal }), message("b"), work.next);

    controller.abort("stop");
    await expect(waiting).rejects.toBe("stop");
    const third = stage.process(createContext(), message("c"), work.next);
    work.finish("a");
    await settled();

    expect(work.running).toEqual(["c"]);
    work.finish("c");
    await Promise.all([first, third]);
    expect(work.started).toEqual(["a", "c"]);
  });

  test("before it came is not let in, and takes no place", async () => {
    const work = controlledWork();
    const stage = concurrency({ limit: 1 });

    await expect(stage.process(createContext({ signal: AbortSignal.abort("stop") }), message("a"), work.next)).rejects.toBe("stop");
    const next = stage.process(createContext(), message("b"), work.next);

    expect(work.started).toEqual(["b"]);
    work.finish("b");
    await next;
  });

  test("while it is worked on keeps its place until the work has ended", async () => {
    const work = controlledWork();
    const controller = new AbortController();
    const stage = concurrency({ limit: 1 });
    const first = stage.process(createContext({ signal: controller.signal }), message("a"), work.next);
    const second = stage.process(createContext(), message("b"), work.next);

    controller.abort("stop");
    await settled();
    expect(work.running).toEqual(["a"]);

    work.finish("a");
    await settled();
    expect(work.running).toEqual(["b"]);
    work.finish("b");
    await Promise.all([first, second]);
  });
});

test("no listener is left on the signal of a message that waited", async () => {
  const work = controlledWork();
  const { signal } = new AbortController();
  const stage = concurrency({ limit: 1 });
  const runs = ["a", "b"].map((id) => stage.process(createContext({ signal }), message(id), work.next));
  await settled();
  expect(getEventListeners(signal, "abort")).toHaveLength(1);

  work.finish("a");
  await settled();
  work.finish("b");
  await Promise.all(runs);

  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

describe("by key", () => {
  test("each key has the limit to itself", async () => {
    const work = controlledWork();
    const stage = concurrency({ limit: 1, byKey: true });
    const runs = [message("a1", "a"), message("a2", "a"), message("b1", "b")].map((each) =>
      stage.process(createContext(), each, work.next),
    );
    await settled();

    expect(work.running).toEqual(["a1", "b1"]);
    work.finish("b1");
    await settled();
    expect(work.running).toEqual(["a1"]);
    work.finish("a1");
    await settled();
    expect(work.running).toEqual(["a2"]);
    work.finish("a2");
    await Promise.all(runs);
  });

  test("the queue is one for all keys, so that many keys cannot fill the memory", async () => {
    const work = controlledWork();
    const stage = concurrency({ limit: 1, byKey: true, queue: 1 });
    const runs = [message("a1", "a"), message("a2", "a"), message("b1", "b")].map((each) =>
      stage.process(createContext(), each, work.next),
    );

    await expect(stage.process(createContext(), message("b2", "b"), work.next)).rejects.toMatchObject({ code: "ERR_OVERLOADED" });

    for (const id of ["a1", "b1", "a2"]) {
      work.finish(id);
      await settled();
    }
    await Promise.all(runs);
  });

  test("a key called __proto__ is a key like any other", async () => {
    const work = controlledWork();
    const stage = concurrency({ limit: 1, byKey: true });
    const runs = ["1", "2"].map((id) => stage.process(createContext(), message(id, "__proto__"), work.next));
    await settled();

    expect(work.running).toEqual(["1"]);
    work.finish("1");
    await settled();
    work.finish("2");
    await Promise.all(runs);
  });

  test("whatever comes, fails, aborts and ends in whatever order, a key keeps its order and its limit, and the rest get through", async () => {
    const arrival = fc.record({ key: fc.constantFrom("a", "b", "c"), ending: fc.constantFrom("finish", "fail", "abort") });

    await fc.assert(
      fc.asyncProperty(
        fc.array(arrival, { maxLength: 20 }),
        fc.integer({ min: 1, max: 3 }),
        fc.scheduler(),
        async (arrivals, limit, scheduler) => {
          const stage = concurrency({ limit, byKey: true });
          const started: Message[] = [];
          const inside = new Map<string, number>();
          let most = 0;
          const runs = arrivals.map(({ key, ending }, index) => {
            const controller = new AbortController();
            if (ending === "abort") void scheduler.schedule(Promise.resolve()).then(() => controller.abort("stop"));
            return stage.process(createContext({ signal: controller.signal }), message(String(index), key), async (_ctx, each) => {
              started.push(each);
              inside.set(key, (inside.get(key) ?? 0) + 1);
              most = Math.max(most, inside.get(key) ?? 0);
              await scheduler.schedule(Promise.resolve());
              inside.set(key, (inside.get(key) ?? 0) - 1);
              if (ending === "fail") throw new Error("down");
            });
          });

          const outcomes = Promise.allSettled(runs);
          await scheduler.waitFor(outcomes);

          expect(most).toBeLessThanOrEqual(limit);
          for (const ids of Map.groupBy(started, ({ key }) => key).values()) {
            expect(ids.map(({ id }) => Number(id))).toEqual(ids.map(({ id }) => Number(id)).toSorted((one, other) => one - other));
          }
          const toStart = [...arrivals.keys()].filter((index) => arrivals[index]?.ending !== "abort").map(String);
          expect(started.map(({ id }) => id)).toEqual(expect.arrayContaining(toStart));
        },
      ),
      { numRuns: 200 },
    );
  });
});

test.each([
  [{ limit: 0 }, "limit"],
  [{ limit: 1.5 }, "limit"],
  [{ limit: 1, queue: -1 }, "queue"],
  [{ limit: 1, queue: NaN }, "queue"],
  [{ limit: 1, retryAfter: -1 }, "retryAfter"],
])("the options %j are refused by the name of %s", (options, name) => {
  expect(() => concurrency(options)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(name) }),
  );
});

interface ControlledWork {
  readonly next: Next<Context, Message>;
  readonly started: readonly string[];
  readonly running: readonly string[];
  finish(id: string): void;
  fail(id: string, error: Error): void;
}

function controlledWork(): ControlledWork {
  const started: string[] = [];
  const running = new Map<string, PromiseWithResolvers<void>>();
  return {
    started,
    get running() {
      return [...running.keys()];
    },
    next: (_ctx, { id }) => {
      const work = Promise.withResolvers<void>();
      started.push(id);
      running.set(id, work);
      return work.promise.finally(() => running.delete(id));
    },
    finish: (id) => running.get(id)?.resolve(),
    fail: (id, error) => running.get(id)?.reject(error),
  };
}

function message(id: string, key = "k"): Message {
  return createMessage({ id, key, source: "orders", content: "{}" });
}

/** When every promise callback has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
