import { expect, test } from "vitest";

import type { ConnectionEvents, SubscribeOptions } from "../../src/streams/index.ts";

import { RetryAfterError, TerminalError } from "../../src/errors.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { order, streamsBench, type StreamsBench } from "./bench.ts";

test.each(["key", "none"] as const)("what fails retryably is tried again after each delay, and not before (order: %s)", async (by) => {
  const { connection, clock } = streamsBench();
  const started = clock.now();
  const tries: (readonly [attempt: number, after: number])[] = [];
  await connection.subscribe(
    "orders",
    async (ctx) => {
      tries.push([ctx.attempt, ctx.clock.now() - started]);
      if (ctx.attempt < 4) throw new Error("not yet");
    },
    { order: by, retry: { delays: [100, 1_000, 5_000] } },
  );

  await connection.publish("orders", order("1"));
  await clock.advance(60_000);

  expect(tries).toEqual([
    [1, 0],
    [2, 100],
    [3, 1_100],
    [4, 6_100],
  ]);
});

test("with order by key the followers of a failed message wait behind it, and other keys flow", async () => {
  const { done, bench } = await failingOnce({ retry: { delays: [1_000] } });

  await bench.settle();
  expect(done).toEqual(["b1"]);
  await bench.clock.advance(1_000);

  expect(done).toEqual(["b1", "a1", "a2"]);
});

test("with serial all that follows a failed message waits behind it", async () => {
  const { done, bench } = await failingOnce({ serial: true, retry: { delays: [1_000] } });

  await bench.settle();
  expect(done).toEqual([]);
  await bench.clock.advance(1_000);

  expect(done).toEqual(["a1", "a2", "b1"]);
});

test("without an order everything overtakes a failed message", async () => {
  const { done, bench } = await failingOnce({ order: "none", retry: { delays: [1_000] } });

  await bench.settle();
  expect(done).toEqual(["a2", "b1"]);
  await bench.clock.advance(1_000);

  expect(done).toEqual(["a2", "b1", "a1"]);
});

test("an error that asks for more time is given it", async () => {
  const { connection, clock } = streamsBench();
  const started = clock.now();
  const tries: number[] = [];
  await connection.subscribe(
    "orders",
    async (ctx) => {
      tries.push(clock.now() - started);
      if (ctx.attempt === 1) throw new RetryAfterError("busy", { retryAfter: 3_000 });
    },
    { retry: { delays: [10] } },
  );

  await connection.publish("orders", order("1"));
  await clock.advance(10_000);

  expect(tries).toEqual([0, 3_000]);
});

test("a function can say when to try again, and when it is enough", async () => {
  const { connection, clock } = streamsBench();
  let tries = 0;
  const dead = await collect(connection, "dead");
  await connection.subscribe(
    "orders",
    async () => {
      tries += 1;
      throw new Error("no");
    },
    { retry: { delays: (attempt) => (attempt < 5 ? attempt * 10 : undefined) }, deadLetter: "dead" },
  );

  await connection.publish("orders", order("1"));
  await clock.advance(1_000);

  expect(tries).toBe(5);
  expect(dead).toHaveLength(1);
});

test("a function for delays that throws, or says nonsense, stops nothing", async () => {
  const { connection, clock } = streamsBench();
  const dead = await collect(connection, "dead");
  const errors: unknown[] = [];
  connection.on("failure", ({ error }) => errors.push(error instanceof Error && error.message));
  const delays = (attempt: number): number => {
    if (attempt === 1) throw new RangeError("a bad function");
    return Number.NaN;
  };
  await connection.subscribe("orders", () => Promise.reject(new Error("not yet")), { retry: { delays }, deadLetter: "dead" });

  await connection.publish("orders", order("1"));
  await clock.advance(60_000);

  expect(errors).toEqual(["a bad function", "not yet"]);
  expect(dead).toHaveLength(1);
});

test("a message whose attempts are used up goes to the dead-letter stream with what is known of its failure", async () => {
  const { connection, clock } = streamsBench();
  const dead = await collect(connection, "dead");
  const charge = async (): Promise<void> => {
    throw new TypeError("the content is {secret}");
  };
  await connection.subscribe("orders", pipeline().use(charge), { deadLetter: "dead", retry: { delays: [60_000] } });
  const message = createMessage({
    id: "1",
    key: "order-1",
    source: "shop",
    origin: "https://shop.example",
    type: "order.created",
    content: new Uint8Array([1, 2]),
    attributes: { tenant: "acme" },
  });

  await connection.publish("orders", message);
  await clock.advance(60_000);

  expect(dead).toEqual([
    {
      ...message,
      attributes: {
        tenant: "acme",
        dlreason: "ERR_HANDLER_FAILED",
        dltext: "TypeError",
        dlstage: "charge",
        dlattempts: "2",
        dlfirsttime: "2026-01-01T00:00:00.000Z",
        dllasttime: "2026-01-01T00:01:00.000Z",
        dlstream: "orders",
        dlposition: "0",
      },
    },
  ]);
  expect(connection.status().subscriptions.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
});

test("the error's own words and its stack are kept when they are asked for", async () => {
  const { connection, settle } = streamsBench();
  const dead = await collect(connection, "dead");
  const handler = (): Promise<void> => Promise.reject(new TerminalError("order is cancelled"));
  await connection.subscribe("orders", handler, { deadLetter: { stream: "dead", includeStack: true } });

  await connection.publish("orders", order("1"));
  await settle();

  expect(dead[0]?.attributes).toMatchObject({
    dlreason: "ERR_TERMINAL",
    dltext: "TerminalError: order is cancelled",
    dlstack: expect.stringContaining("failures.test.ts"),
  });
});

test("a terminal failure is put aside at once", async () => {
  const { connection, settle } = streamsBench();
  const dead = await collect(connection, "dead");
  await connection.subscribe("orders", () => Promise.reject(new TerminalError("cancelled")), { deadLetter: "dead" });

  await connection.publish("orders", order("1"));
  await settle();

  expect(dead.map(({ id, attributes }) => [id, attributes["dlattempts"], attributes["dltext"]])).toEqual([["1", "1", "cancelled"]]);
});

test("a dead letter that fails again keeps the time of its first failure, and its attempts add up", async () => {
  const { connection, clock } = streamsBench();
  const dead = await collect(connection, "dead");
  await connection.subscribe("orders", () => Promise.reject(new TerminalError("cancelled")), { deadLetter: "dead" });
  await connection.publish("orders", order("1"));
  await clock.advance(1_000);

  await connection.publish("orders", dead[0] ?? order("none"));
  await clock.advance(1_000);

  expect(dead[1]?.attributes).toMatchObject({
    dlattempts: "2",
    dlfirsttime: "2026-01-01T00:00:00.000Z",
    dllasttime: "2026-01-01T00:00:01.000Z",
  });
});

test("dead letters expire, after 14 days unless told otherwise", async () => {
  const { connection, clock } = streamsBench();
  const fails = () => Promise.reject(new TerminalError("cancelled"));
  await connection.subscribe("orders", fails, { deadLetter: "dead" });
  await connection.subscribe("orders", fails, { name: "other", deadLetter: { stream: "dead soon", retention: 1_000 } });
  await connection.publish("orders", order("1"));
  await clock.advance(1_000);

  const soon = await collect(connection, "dead soon");
  const dead = await collect(connection, "dead");
  await clock.advance(14 * 86_400_000);
  const late = await collect(connection, "dead", "late");
  await clock.advance(0);

  expect([soon.length, dead.length, late.length]).toEqual([0, 1, 0]);
});

test("without a dead-letter stream what fails for good is tried for ever, with the last delay, and told of", async () => {
  const bench = streamsBench();
  const failures: ConnectionEvents["failure"][] = [];
  bench.connection.on("failure", (failure) => failures.push(failure));
  let tries = 0;
  await bench.connection.subscribe(
    "orders",
    () => {
      tries += 1;
      return Promise.reject(new TerminalError("cancelled"));
    },
    { retry: { delays: [10, 1_000] } },
  );

  await bench.connection.publish("orders", order("1"));
  await bench.clock.advance(100_000);

  expect(tries).toBe(101);
  expect(failures.at(-1)).toMatchObject({ stream: "orders", name: "orders", id: "1", attempt: 101, next: "retry" });
});

test("a message stays where it is while the dead-letter stream cannot be written", async () => {
  const { connect, clock } = streamsBench();
  let isDown = true;
  const connection = connect({}, (transport) => ({
    ...transport,
    publish: (stream, ...given) =>
      stream === "dead" && isDown ? Promise.reject(new Error("no answer")) : transport.publish(stream, ...given),
  }));
  const dead = await collect(connection, "dead");
  const handler = () => Promise.reject(new TerminalError("cancelled"));
  await connection.subscribe("orders", handler, { deadLetter: "dead", retry: { delays: [1_000] } });
  const codes: unknown[] = [];
  connection.on("failure", ({ error, next }) => codes.push([next, error instanceof Error && "code" in error && error.code]));

  await connection.publish("orders", order("1"));
  await clock.advance(0);
  expect(dead).toEqual([]);
  isDown = false;
  await clock.advance(1_000);

  expect(dead.map(({ id }) => id)).toEqual(["1"]);
  expect(codes).toEqual([
    ["retry", "ERR_PUBLISH_FAILED"],
    ["dead letter", "ERR_TERMINAL"],
  ]);
});

test("a handler that throws before it returns a promise fails like any other", async () => {
  const { connection, settle } = streamsBench();
  const dead = await collect(connection, "dead");
  const handler = (): Promise<void> => {
    throw new TerminalError("at once");
  };
  await connection.subscribe("orders", handler, { deadLetter: "dead" });

  await connection.publish("orders", order("1"));
  await settle();

  expect(dead).toHaveLength(1);
});

test("a listener that throws stops nothing", async () => {
  const { connection, clock } = streamsBench();
  connection.on("failure", () => {
    throw new Error("a bad listener");
  });
  let tries = 0;
  const subscribe = async (ctx: { readonly attempt: number }): Promise<void> => {
    tries += 1;
    if (ctx.attempt === 1) throw new Error("not yet");
  };
  await connection.subscribe("orders", subscribe, { retry: { delays: [10] } });

  await connection.publish("orders", order("1"));
  await clock.advance(10);

  expect(tries).toBe(2);
});

async function failingOnce(options: SubscribeOptions): Promise<{ readonly bench: StreamsBench; readonly done: readonly string[] }> {
  const bench = streamsBench();
  const done: string[] = [];
  await bench.connection.subscribe(
    "orders",
    async (ctx, { id }) => {
      if (id === "a1" && ctx.attempt === 1) throw new Error("not yet");
      done.push(id);
    },
    options,
  );
  await bench.connection.publishBatch("orders", [order("a1", "a"), order("a2", "a"), order("b1", "b")]);
  return { bench, done };
}

async function collect(connection: StreamsBench["connection"], stream: string, name: string = stream): Promise<readonly Message[]> {
  const messages: Message[] = [];
  await connection.subscribe(stream, async (_ctx, message) => void messages.push(message), { name, backfill: true });
  return messages;
}
