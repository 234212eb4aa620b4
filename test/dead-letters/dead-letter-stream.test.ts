import { describe, expect, test } from "vitest";

import type { Context } from "../../src/context.ts";
import type { Message } from "../../src/message.ts";

import {
  type DeadLetterStreamOptions,
  deadLetterStream,
  parkedKeys,
  type ReadLettersOptions,
  type RedriveStreamOptions,
} from "../../src/dead-letters/index.ts";
import { TerminalError } from "../../src/errors.ts";
import { createMessage, identityOf } from "../../src/message.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { type Connection, deliveryOf } from "../../src/streams/index.ts";
import { order, type StreamsBench, streamsBench } from "../streams/bench.ts";

describe("reading", () => {
  test("shows what a dead letter is, and removes nothing", async () => {
    const { read } = await benchWith(["a1", "b1"]);

    const [first] = await read();
    const again = await read();

    expect(first).toMatchObject({
      message: { id: "a1", key: "a", source: "shop", content: "a1" },
      failure: { code: "ERR_TERMINAL", message: "refused", causes: [], retryable: false },
      attempts: 1,
      firstFailedAt: Date.parse("2026-01-01T00:00:00Z"),
      lastFailedAt: Date.parse("2026-01-01T00:00:00Z"),
    });
    expect(again.map(({ message }) => message.id)).toEqual(["a1", "b1"]);
  });

  test("does not show again what was removed", async () => {
    const { read, remove } = await benchWith(["a1", "b1"]);

    await remove({ where: { key: "a" } });

    expect((await read()).map(({ message }) => message.id)).toEqual(["b1"]);
  });

  test("removing one of a parked key lets go what waits behind it", async () => {
    const parkKey = parkedKeys({ store: memoryEventStore() });
    const { remove } = await benchWith(["a1", "a2"], { parked: parkKey });

    await remove({ where: ({ message }) => message.id === "a1" });

    expect((await parkKey.get("a"))?.waiting).toEqual([identityOf(order("a2", "a"))]);
  });

  test("takes a message that is no dead letter of ours as it is", async () => {
    const { connection, clock, read } = await benchWith([]);
    const now = clock.now();
    await connection.publish("orders-failed", order("x"));

    expect(await read()).toMatchObject([
      {
        message: { id: "x" },
        failure: { code: "unknown", message: "" },
        attempts: 0,
        firstFailedAt: now,
        lastFailedAt: now,
      },
    ]);
  });

  test("goes on for as long as something comes", async () => {
    const { connection, clock } = await benchWith(["a1"]);
    const seen: string[] = [];
    const reading = collect(deadLetterStream(connection, { stream: "orders-failed", clock, idle: 1_000 }).read(), (id) => seen.push(id));

    await clock.advance(900);
    await connection.publish("orders-failed", order("b1"));
    await clock.advance(900);
    expect(seen).toEqual(["a1", "b1"]);
    await connection.publish("orders-failed", order("c1"));
    await clock.advance(1_000);
    await reading;

    expect(seen).toEqual(["a1", "b1", "c1"]);
  });

  test("holds what stays longer than an ack wait, so that it does not come twice", async () => {
    const { connection, clock } = await benchWith(["a1", "b1"]);
    const seen: string[] = [];
    const reading = collect(deadLetterStream(connection, { stream: "orders-failed", clock, idle: 100_000 }).read(), (id) => seen.push(id));

    await clock.advance(200_000);
    await reading;

    expect(seen).toEqual(["a1", "b1"]);
  });

  test("ends when as many are held as it may hold", async () => {
    const { read } = await benchWith(["a1", "b1", "c1"], { window: 2 });

    expect(await read()).toHaveLength(2);
  });

  test("ends when its signal aborts", async () => {
    const { connection, clock } = await benchWith(["a1"]);
    const controller = new AbortController();
    const reading = collect(deadLetterStream(connection, { stream: "orders-failed", clock }).read({ signal: controller.signal }), () =>
      controller.abort(),
    );

    await clock.advance(0);

    expect(await reading).toEqual(["a1"]);
    expect(connection.status().subscriptions.map(({ stream }) => stream)).not.toContain("orders-failed");
  });
});

describe("a redrive", () => {
  test("publishes them into the stream that they came from, with what is known of them", async () => {
    const { redrive, ran, copies, mend } = await benchWith(["a1", "b1"]);
    mend();

    expect(await redrive()).toEqual({ redriven: 2, skipped: 0, failed: [], more: false });

    expect(ran()).toEqual(["a1", "b1"]);
    expect(copies()[0]?.attributes).toMatchObject({ dlreason: "ERR_TERMINAL", dlattempts: "1", dlredrive: "1" });
  });

  test("goes into another stream when it is told to", async () => {
    const { redrive, connection, settle } = await benchWith(["a1"]);
    const seen: string[] = [];
    await connection.subscribe("orders-again", async (_ctx, { id }) => void seen.push(id));

    await redrive({ to: "orders-again" });
    await settle();

    expect(seen).toEqual(["a1"]);
  });

  test("takes only what is selected, and leaves the others for the next time", async () => {
    const { redrive, read, mend } = await benchWith(["a1", "b1", "c1"]);
    mend();

    expect(await redrive({ where: { key: "b" } })).toMatchObject({ redriven: 1 });

    expect((await read()).map(({ message }) => message.id)).toEqual(["a1", "c1"]);
  });

  test("that selects the first one of a parked key takes what waits behind it, too", async () => {
    const { redrive, ran, mend } = await benchWith(["a1", "a2", "b1"], { parked: parkedKeys({ store: memoryEventStore() }) });
    mend();

    await redrive({ where: ({ message }) => message.id === "a1" });

    expect(ran()).toEqual(["a1", "a2"]);
  });

  test("ends at its limit, and says that there may be more", async () => {
    const { redrive, read } = await benchWith(["a1", "b1"]);

    expect(await redrive({ limit: 1, to: "elsewhere" })).toMatchObject({ redriven: 1, more: true });

    expect(await read()).toHaveLength(1);
  });

  test("keeps to its rate", async () => {
    const { connection, clock } = await benchWith(["a1", "b1", "c1"]);
    const at: number[] = [];
    const started = clock.now();
    await connection.subscribe("elsewhere", async () => void at.push(clock.now() - started));

    const redriving = deadLetterStream(connection, { stream: "orders-failed", clock }).redrive({ rate: 2, to: "elsewhere" });
    await clock.advance(20_000);
    await redriving;

    expect(at).toEqual([0, 500, 1_000]);
  });

  test("only counts when it is a dry run", async () => {
    const { redrive, read, copies } = await benchWith(["a1", "b1"]);

    expect(await redrive({ dryRun: true })).toMatchObject({ redriven: 2 });

    expect(copies()).toEqual([]);
    expect(await read()).toHaveLength(2);
  });

  test("leaves what has failed again, which counts further then", async () => {
    const { redrive, read } = await benchWith(["a1"]);

    expect(await redrive()).toMatchObject({ redriven: 1 });
    expect(await redrive()).toMatchObject({ redriven: 1 });

    expect(await read()).toMatchObject([{ message: { id: "a1", attributes: { dlredrive: "2" } }, attempts: 3 }]);
  });

  test("names what could not be published, and leaves it", async () => {
    const { connection, clock, read } = await benchWith(["a1", "b1"]);
    const failing: Connection = {
      ...connection,
      features: connection.features,
      pull: (stream, options) => connection.pull(stream, options),
      publish: (stream, message) => (message.id === "a1" ? Promise.reject(new Error("down")) : connection.publish(stream, message)),
    };

    const redriving = deadLetterStream(failing, { stream: "orders-failed", clock }).redrive({ to: "elsewhere" });
    await clock.advance(10_000);

    expect(await redriving).toMatchObject({ redriven: 1, failed: [{ message: { id: "a1", key: "a" }, error: new Error("down") }] });
    expect((await read()).map(({ message }) => message.id)).toEqual(["a1"]);
  });

  test("that dies after it has published publishes the same again", async () => {
    const { bench, copies, redrive, mend } = await benchWith(["a1"]);
    mend();
    const dying = bench.connect();
    const unanswered: Connection = {
      ...dying,
      features: dying.features,
      pull: (stream, options) => dying.pull(stream, options),
      publish: async (stream, message) => {
        await bench.connection.publish(stream, message);
        await bench.kill(dying);
        return message.id;
      },
    };
    const interrupted = deadLetterStream(unanswered, { stream: "orders-failed", clock: bench.clock }).redrive();
    await bench.clock.advance(60_000);
    await Promise.allSettled([interrupted]);

    await redrive();

    const [first, second] = copies();
    expect(second).toEqual(first);
    expect(copies()).toHaveLength(2);
  });

  test("says of what does not say where it came from that it needs a stream", async () => {
    const { connection, redrive } = await benchWith([]);
    await connection.publish("orders-failed", order("x"));

    expect(await redrive()).toMatchObject({ redriven: 0, failed: [{ message: { id: "x" }, error: { code: "ERR_INVALID_MESSAGE" } }] });
  });
});

test.each<[string, Partial<DeadLetterStreamOptions>]>([
  ["stream", { stream: "" }],
  ["name", { name: "" }],
  ["idle", { idle: 0 }],
  ["window", { window: 0 }],
])("a bad %s is refused", (option, options) => {
  const { connection } = streamsBench();

  expect(() => deadLetterStream(connection, { stream: "orders-failed", ...options })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(option) }),
  );
});

test("what is no connection is refused", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => deadLetterStream({}, { stream: "orders-failed" })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

/** A stream of dead letters of these messages, each of the key that its id begins with. */
async function benchWith(
  ids: readonly string[],
  { parked, ...options }: Partial<DeadLetterStreamOptions> & { readonly parked?: ReturnType<typeof parkedKeys> } = {},
) {
  const bench = streamsBench();
  const { connection, clock, settle } = bench;
  let isMended = false;
  const succeeded: string[] = [];
  const copies: Message[] = [];
  const handler = async (_ctx: unknown, message: Message): Promise<void> => {
    if (!isMended) throw new TerminalError("refused");
    succeeded.push(message.id);
  };
  await connection.subscribe("orders", handler, { deadLetter: { stream: "orders-failed", ...(parked && { parkKey: parked }) } });
  for (const id of ids) await connection.publish("orders", createMessage({ ...order(id, id[0]) }));
  await settle();
  await connection.subscribe("orders", async (ctx) => void copies.push(rawOf(ctx)), { name: "spy" });
  const letters = deadLetterStream(connection, { stream: "orders-failed", clock, ...options, ...(parked && { parked }) });
  return {
    bench,
    connection,
    clock,
    settle,
    mend: () => (isMended = true),
    ran: () => succeeded,
    copies: () => copies,
    redrive: (given?: RedriveStreamOptions) => whileTimePasses(bench, letters.redrive(given)),
    read: async (given?: ReadLettersOptions) => {
      const found: Awaited<ReturnType<typeof lettersIn>> = await whileTimePasses(bench, lettersIn(letters.read(given)));
      return found;
    },
    remove: (given: ReadLettersOptions) =>
      whileTimePasses(
        bench,
        (async () => {
          for await (const { remove } of letters.read(given)) await remove();
        })(),
      ),
  };
}

type Found = ReturnType<ReturnType<typeof deadLetterStream>["read"]>;

async function lettersIn(found: Found) {
  const letters = [];
  for await (const { letter } of found) letters.push(letter);
  return letters;
}

async function collect(found: Found, onFound: (id: string) => void): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { letter } of found) {
    ids.push(letter.message.id);
    onFound(letter.message.id);
  }
  return ids;
}

async function whileTimePasses<Result>({ clock }: StreamsBench, work: Promise<Result>): Promise<Result> {
  await clock.advance(10_000);
  return work;
}

/** The message as the broker has it, with what a handler does not see. */
function rawOf(ctx: Context): Message {
  const message = deliveryOf(ctx)?.message;
  if (message === undefined) throw new Error("it did not come by a stream");
  return message;
}
