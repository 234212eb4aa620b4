import { pipeline } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { expect, test, vi } from "vitest";

import { closeOnSignals } from "../src/receive/close-on-signals.ts";
import { type Listening } from "../src/receive/listen.ts";
import { receiver, type ReceiverOptions } from "../src/receive/receiver.ts";
import { openSocket, type RawConnection, rawPost } from "./raw-socket.ts";
import { recording } from "./requests.ts";

const health = "GET /healthz HTTP/1.1\r\nHost: receiver.test\r\n\r\n";

test("while it drains, what is in flight finishes and everything new is told to go elsewhere", async () => {
  const { listening, inFlight, finish } = await withOneInFlight();

  const closing = listening.close();
  const [probe, late] = [await ask(listening, health), await ask(listening, rawPost("{}"))];

  expect(await probe.receives(/\}/)).toMatch(/^HTTP\/1.1 503 /);
  expect(await late.closed).toMatch(/^HTTP\/1.1 503 .*retry-after: 1\r\n.*connection: close\r\n/is);
  finish();
  expect(await inFlight.closed).toMatch(/^HTTP\/1.1 204 .*connection: close\r\n/is);
  await closing;
  await expect(openSocket(listening.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a reply that its sender is slow to read is written to its end", async () => {
  const content = "x".repeat(8_000_000);
  const replied = Promise.withResolvers<void>();
  const orders = pipeline().use(async (ctx, message) => {
    ctx.reply({ ...message, content });
    replied.resolve();
  });
  const listening = await receiver(orders).listen({ port: 0 });
  const slow = await ask(listening, rawPost("{}"));
  slow.socket.pause();
  await replied.promise;
  await new Promise((resolve) => setImmediate(resolve));

  const closing = listening.close();
  await expect(Promise.race([closing, slow.closed, new Promise((resolve) => setImmediate(resolve, "open"))])).resolves.toBe("open");
  slow.socket.resume();

  expect((await slow.closed).length).toBeGreaterThan(content.length);
  await closing;
});

test("what does not finish in time is made to give up, and is answered so that it comes again", async () => {
  const clock = virtualClock();
  const { listening, inFlight, aborted } = await withOneInFlight({ clock, drainTime: 5_000 });

  const closing = listening.close();
  await clock.advance(4_999);
  expect(aborted()).toBe(false);
  await clock.advance(1);

  expect(aborted()).toBe(true);
  expect(await inFlight.closed).toMatch(/^HTTP\/1.1 503 .*retry-after: 1\r\n/is);
  await closing;
});

test("the limit may be given to close", async () => {
  const { listening, inFlight } = await withOneInFlight();

  await listening.close({ limit: 0 });

  expect(await inFlight.closed).toMatch(/^HTTP\/1.1 503 /);
});

test("a request that has not arrived whole when time is up is cut off", async () => {
  const clock = virtualClock();
  const { pipeline: orders, messages } = recording();
  const listening = await receiver(orders, { clock, sweep: false }).listen({ port: 0 });
  const half = await ask(listening, rawPost("{", ["Content-Length: 2"]));
  await vi.waitFor(() => expect(clock.pending).toBe(1));

  const closing = listening.close({ limit: 100 });
  await clock.advance(100);
  await clock.advance(1_000);

  await half.closed;
  await closing;
  expect(messages).toEqual([]);
});

test("idle connections are closed at once", async () => {
  const listening = await receiver(recording().pipeline).listen({ port: 0 });
  const idle = await ask(listening, health);
  await idle.receives(/\}/);

  await listening.close();

  expect(await idle.closed).toMatch(/^HTTP\/1.1 200 /);
});

test("closing again waits for the same end, and so does the signal given to listen", async () => {
  const controller = new AbortController();
  const { listening, finish } = await withOneInFlight({}, controller.signal);
  let closed = false;
  void listening.closed.then(() => (closed = true));

  controller.abort();
  const again = [listening.close(), listening.close({ limit: 0 })];
  await (await ask(listening, health)).receives(/ 503 /);

  expect(closed).toBe(false);
  finish();
  await Promise.all(again);
  expect(closed).toBe(true);
});

test("a signal that has aborted starts nothing", async () => {
  await expect(receiver(recording().pipeline).listen({ port: 0, signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow(
    "too late",
  );
});

test("a signal of the process closes the server, then what it needed, and is listened for once", async () => {
  const { listening, inFlight, finish } = await withOneInFlight();
  const order: string[] = [];
  const before = process.listenerCount("SIGUSR2");

  void listening.closed.then(() => order.push("server"));
  const closed = closeOnSignals(listening, { signals: ["SIGUSR2"], onClosed: () => order.push("store") });
  process.emit("SIGUSR2", "SIGUSR2");
  expect(process.listenerCount("SIGUSR2")).toBe(before);
  await (await ask(listening, health)).receives(/ 503 /);
  expect(order).toEqual([]);
  finish();
  await closed;

  expect(await inFlight.closed).toMatch(/^HTTP\/1.1 204 /);
  expect(order).toEqual(["server", "store"]);
});

test("who closes the server without a signal is listened for no longer either", async () => {
  const listening = await receiver(recording().pipeline).listen({ port: 0 });
  const before = process.listenerCount("SIGTERM");

  const closed = closeOnSignals(listening);
  expect(process.listenerCount("SIGTERM")).toBe(before + 1);
  await listening.close();
  await closed;

  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("a signal closes a connection beside the server at the same time, with the same limit, and what both needed after both", async () => {
  const { listening, inFlight, finish } = await withOneInFlight();
  const order: unknown[] = [];
  const connection = { close: async (options?: { readonly limit?: number }) => void order.push(options) };

  const closed = closeOnSignals([listening, connection], { signals: ["SIGUSR2"], limit: 5_000, onClosed: () => order.push("store") });
  process.emit("SIGUSR2", "SIGUSR2");
  await (await ask(listening, health)).receives(/ 503 /);
  expect(order).toEqual([{ limit: 5_000 }]);
  finish();
  await closed;

  expect(await inFlight.closed).toMatch(/^HTTP\/1.1 204 /);
  expect(order).toEqual([{ limit: 5_000 }, "store"]);
});

test("what one of them fails with is thrown after the others have closed", async () => {
  const order: string[] = [];
  const failing = { close: () => Promise.reject(new Error("the broker would not let go")) };

  const closed = closeOnSignals([failing, { close: async () => void order.push("other") }], {
    signals: ["SIGUSR2"],
    onClosed: () => order.push("store"),
  });
  process.emit("SIGUSR2", "SIGUSR2");

  await expect(closed).rejects.toThrow("the broker would not let go");
  expect(order).toEqual(["other", "store"]);
});

test("what fails behind the server is not swallowed", async () => {
  const listening = await receiver(recording().pipeline).listen({ port: 0 });

  const closed = closeOnSignals(listening, { onClosed: () => Promise.reject(new Error("the store would not close")) });
  await listening.close();

  await expect(closed).rejects.toThrow("the store would not close");
});

interface InFlight {
  readonly listening: Listening;
  readonly inFlight: RawConnection;
  readonly finish: () => void;
  readonly aborted: () => boolean;
}

/** A server with one event that is being processed until `finish` is called. */
async function withOneInFlight(options: ReceiverOptions = {}, signal?: AbortSignal): Promise<InFlight> {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<AbortSignal>();
  const orders = pipeline().use(async (ctx) => {
    begun.resolve(ctx.signal);
    await gate.promise;
  });
  const listening = await receiver(orders, { sweep: false, ...options }).listen({ port: 0, signal });
  const inFlight = await ask(listening, rawPost("{}"));
  const given = await begun.promise;
  return { listening, inFlight, finish: gate.resolve, aborted: () => given.aborted };
}

async function ask({ port }: Listening, request: string): Promise<RawConnection> {
  const connection = await openSocket(port);
  connection.socket.write(request);
  return connection;
}
