import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { DeadLetter } from "../../src/handlers/dead-letter/entry.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { createContext } from "../../src/context.ts";
import { TerminalError } from "../../src/errors.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { deadLetters } from "../../src/dead-letters/dead-letters.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { replaying } from "../../src/pipeline/replaying.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { faultyEventStore } from "../../src/testing/faulty-event-store.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "orders", content: "{}" });

test("a message comes back as it was, bit by bit", async () => {
  const text = fc.string({ unit: "binary" });
  const anyMessage = fc
    .record(
      {
        id: text,
        key: text,
        source: text,
        origin: text,
        type: text,
        time: text,
        content: fc.oneof(text, fc.uint8Array()),
        attributes: fc.dictionary(fc.oneof(text, fc.constantFrom("deadletter", "__proto__", "constructor")), text),
      },
      { requiredKeys: ["id", "key", "source", "content"] },
    )
    .map((parts) => createMessage(parts));

  await fc.assert(
    fc.asyncProperty(anyMessage, async (message) => {
      const store = memoryEventStore();

      await putAside(store, message);

      expect((await deadLetters(store).get(message))?.message).toStrictEqual(message);
    }),
  );
});

describe("list", () => {
  test("gives every dead letter once over its pages, whatever the keys and the size of a page", async () => {
    const place = fc.record({
      key: fc.constantFrom("a", "b", "", "__proto__"),
      id: fc.constantFrom("1", "2", "3"),
      source: fc.constantFrom("x", "y"),
    });

    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(place, { selector: JSON.stringify, maxLength: 15 }),
        fc.integer({ min: 1, max: 6 }),
        async (places, limit) => {
          const store = memoryEventStore();
          for (const each of places) await putAside(store, createMessage({ ...each, content: "" }));

          const listed: DeadLetter[] = [];
          for (let page = await deadLetters(store).list({ limit }); page.length > 0;) {
            expect(page.length).toBeLessThanOrEqual(limit);
            listed.push(...page);
            page = await deadLetters(store).list({ limit, after: page.at(-1) });
          }

          expect(new Set(listed.map(({ message: { key, id, source } }) => JSON.stringify({ key, id, source })))).toEqual(
            new Set(places.map(({ key, id, source }) => JSON.stringify({ key, id, source }))),
          );
          expect(listed).toHaveLength(places.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("goes on behind a dead letter that was removed meanwhile", async () => {
    const store = memoryEventStore();
    for (const id of ["1", "2", "3"]) await putAside(store, createMessage({ ...order, id }));
    const letters = deadLetters(store);
    const [first] = await letters.list({ limit: 1 });
    await letters.remove(some(first));

    const rest = await letters.list({ after: first });

    expect(rest.map(({ message }) => message.id)).toEqual(["2", "3"]);
  });

  test("looks further when a dead letter is removed between its key and itself being read", async () => {
    const memory = memoryEventStore();
    for (const key of ["a", "b", "c"]) await putAside(memory, createMessage({ ...order, key }));
    const [first] = await deadLetters(memory).list({ limit: 1 });
    const gone = some(first);
    const store = faultyEventStore(memory, {
      decide({ operation, key }) {
        if (operation === "lookUpByKey" && key === gone.message.key) void deadLetters(memory).remove(gone);
        return undefined;
      },
    });

    const page = await deadLetters(store).list({ limit: 1 });

    expect(page).toHaveLength(1);
    expect(page).not.toContainEqual(gone);
  });

  test.each([0, 1.5, NaN])("refuses a limit of %d", async (limit) => {
    await expect(deadLetters(memoryEventStore()).list({ limit })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  });
});

test("get finds one by the parts that say which message it is, and nothing where there is none", async () => {
  const store = memoryEventStore();
  await putAside(store, createMessage({ ...order, origin: "/shops/1#orders" }));
  const letters = deadLetters(store);

  expect((await letters.get({ key: "order-1", id: "o-1", source: "orders", origin: "/shops/1#orders" }))?.message.id).toBe("o-1");
  expect(await letters.get({ key: "order-1", id: "o-1", source: "orders" })).toBeUndefined();
  expect(await letters.get({ key: "order-2", id: "o-1", source: "orders", origin: "/shops/1#orders" })).toBeUndefined();
});

test("remove takes away what was read, and refuses when it has failed again since", async () => {
  const store = memoryEventStore();
  const letters = deadLetters(store);
  const before = await putAside(store, order);
  const now = await putAside(store, order);

  await expect(letters.remove(before)).rejects.toMatchObject({ code: "ERR_REVISION_CONFLICT" });
  await letters.remove(now);
  await letters.remove(now);

  expect(await letters.list()).toEqual([]);
});

describe("replay", () => {
  test("processes the very message and removes its dead letter", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const processed: Message[] = [];
    const charge = pipeline().use(async (_ctx, message) => void processed.push(message));

    expect(await deadLetters(store).replay(charge, letter)).toBe("done");

    expect(processed).toStrictEqual([order]);
    expect(await deadLetters(store).list()).toEqual([]);
  });

  test("tells the stages that it is a replay, and which attempt", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const seen: unknown[] = [];
    const charge = pipeline().use(async (ctx) => void seen.push(replaying.get(ctx), ctx.attempt));

    await deadLetters(store).replay(charge, letter);

    expect(seen).toEqual([true, 2]);
  });

  test("that fails leaves the dead letter where it is", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const charge = pipeline().use(() => Promise.reject(new Error("still down")));

    await expect(deadLetters(store).replay(charge, letter)).rejects.toMatchObject({ cause: new Error("still down") });

    expect(await deadLetters(store).list()).toEqual([letter]);
  });

  test("that fails for good again is put aside again by the pipeline's own dead letter", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const charge = pipeline()
      .use(deadLetter({ store }))
      .use(() => Promise.reject(new TerminalError("refused again")));

    expect(await deadLetters(store).replay(charge, letter)).toBe("put aside again");

    expect(await deadLetters(store).list()).toMatchObject([
      { failure: { message: "refused again" }, attempts: 2, firstFailedAt: letter.firstFailedAt },
    ]);
  });

  test("that a stage takes for a duplicate keeps the dead letter, for nothing was done", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const charge = pipeline().use(async (ctx) => ctx.ended("duplicate"));

    expect(await deadLetters(store).replay(charge, letter)).toBe("duplicate");

    expect(await deadLetters(store).list()).toEqual([letter]);
  });

  test("keeps the dead letter when it was processed but could not be removed, and says so", async () => {
    const memory = memoryEventStore();
    const letter = await putAside(memory, order);
    const store = faultyEventStore(memory, {
      decide: ({ operation }) => (operation === "remove" ? { kind: "fail", when: "before" } : undefined),
    });

    await expect(deadLetters(store).replay(pipeline(), letter)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });

    expect(await deadLetters(memory).list()).toEqual([letter]);
  });

  test("stops when its signal aborts", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const ran: string[] = [];
    const charge = pipeline().use(async () => void ran.push("ran"));

    await expect(deadLetters(store).replay(charge, letter, createContext({ signal: AbortSignal.abort("stop") }))).rejects.toBe("stop");

    expect(ran).toEqual([]);
    expect(await deadLetters(store).list()).toEqual([letter]);
  });

  test("goes through anything that processes messages", async () => {
    const store = memoryEventStore();
    const letter = await putAside(store, order);
    const processor: Pick<Processor, "process"> = { process: () => Promise.resolve() };

    expect(await deadLetters(store).replay(processor, letter)).toBe("done");
  });
});

test.each(["", "no json", "{}", '{"source":"s"}'])(
  "an entry that no dead letter has written is reported, not guessed at: %j",
  async (deadletter) => {
    const store = memoryEventStore();
    await store.scope("dead-letters").persist(createMessage({ ...order, attributes: { deadletter } }));

    await expect(deadLetters(store).list()).rejects.toMatchObject({
      code: "ERR_STORE_CORRUPT",
      message: expect.stringContaining("order-1"),
    });
  },
);

test("something other than a store is refused", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => deadLetters({})).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

async function putAside(store: EventStore, message: Message): Promise<DeadLetter> {
  await deadLetter({ store }).process(createContext(), message, () => Promise.reject(new TerminalError("refused")));
  return some(await deadLetters(store).get(message));
}

function some(letter: DeadLetter | undefined): DeadLetter {
  if (letter === undefined) throw new Error("there is no dead letter");
  return letter;
}
