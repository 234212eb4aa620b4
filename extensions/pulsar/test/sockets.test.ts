import type { Connection } from "event-driver/streams";
import type { WebSocket } from "ws";

import { pulsarConnection, type PulsarConnectionOptions, type PulsarNative } from "@event-driver/pulsar";
import { createMessage, type Message } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { expect, onTestFinished, test, vi } from "vitest";

import { type FakePulsar, fakePulsar } from "./fake-pulsar.ts";

const patience = { timeout: 20_000, interval: 2 };

test("what has no answer when the socket goes down is sent again, in its order, before what follows", async () => {
  const texts: string[] = [];
  let isAnswering = false;
  const pulsar = await fakePulsar({
    onText(text, socket) {
      texts.push(contextOf(text));
      if (isAnswering) answer(socket, text);
    },
  });
  const connection = await connected(pulsar);

  const publishing = connection.publishBatch("orders", [order("1"), order("2"), order("3")]);
  await vi.waitFor(() => expect(texts).toEqual(["1", "2", "3"]), patience);
  isAnswering = true;
  for (const socket of pulsar.sockets) socket.terminate();
  const last = connection.publish("orders", order("4"));

  expect((await publishing).map(({ status }) => status)).toEqual(["published", "published", "published"]);
  await last;
  expect(texts).toEqual(["1", "2", "3", "1", "2", "3", "4"]);
});

test("no more than a thousand are without an answer at once", async () => {
  const unanswered: { readonly text: string; readonly socket: WebSocket }[] = [];
  const pulsar = await fakePulsar({ onText: (text, socket) => void unanswered.push({ text, socket }) });
  const connection = await connected(pulsar);

  const publishing = connection.publishBatch(
    "orders",
    Array.from({ length: 1_500 }, (_, index) => order(String(index))),
  );
  await vi.waitFor(() => expect(unanswered).toHaveLength(1_000), patience);
  for (const { text, socket } of unanswered.splice(0, 500)) answer(socket, text);
  await vi.waitFor(() => expect(unanswered).toHaveLength(1_000), patience);
  for (const { text, socket } of unanswered) answer(socket, text);

  expect((await publishing).filter(({ status }) => status === "failed")).toEqual([]);
});

test("messages that were given up before their answer do not hold up those behind them", async () => {
  const unanswered: { readonly text: string; readonly socket: WebSocket }[] = [];
  const pulsar = await fakePulsar({ onText: (text, socket) => void unanswered.push({ text, socket }) });
  const connection = await connected(pulsar);
  const giveUp = new AbortController();
  const given = connection.publishBatch(
    "orders",
    Array.from({ length: 1_000 }, (_, index) => order(String(index))),
    { signal: giveUp.signal },
  );
  await vi.waitFor(() => expect(unanswered).toHaveLength(1_000), patience);

  const behind = connection.publish("orders", order("behind"));
  giveUp.abort(new Error("enough"));
  expect(new Set((await given).map(({ status }) => status))).toEqual(new Set(["failed"]));
  for (const { text, socket } of unanswered.splice(0)) answer(socket, text);
  await vi.waitFor(() => expect(unanswered).toHaveLength(1), patience);
  for (const { text, socket } of unanswered) answer(socket, text);

  await expect(behind).resolves.toBe("behind");
});

test("large messages are not all on their way at once", async () => {
  const unanswered: { readonly text: string; readonly socket: WebSocket }[] = [];
  const pulsar = await fakePulsar({ onText: (text, socket) => void unanswered.push({ text, socket }) });
  const connection = await connected(pulsar);
  const answerAll = (): void => {
    for (const { text, socket } of unanswered.splice(0)) answer(socket, text);
  };

  const publishing = connection.publishBatch(
    "orders",
    Array.from({ length: 10 }, (_, index) => order(String(index), 3 * 1_048_576)),
  );
  await vi.waitFor(() => expect(unanswered).toHaveLength(4), patience);
  answerAll();
  await vi.waitFor(() => expect(unanswered).toHaveLength(4), patience);
  answerAll();
  await vi.waitFor(() => expect(unanswered).toHaveLength(2), patience);
  answerAll();

  expect((await publishing).filter(({ status }) => status === "failed")).toEqual([]);
});

test("when the server throws a text out as too large, the largest is refused and the others are published", async () => {
  const pulsar = await fakePulsar({
    onText: (text, socket) => (text.length > 10_000 ? socket.close(1009, "Text message too large") : answer(socket, text)),
  });
  const connection = await connected(pulsar);

  const settlements = await connection.publishBatch("orders", [order("1"), order("2", 20_000), order("3", 5_000), order("4", 30_000)]);

  expect(settlements.map(({ status }) => status)).toEqual(["published", "failed", "published", "failed"]);
  expect(settlements[1]).toMatchObject({ error: { code: "ERR_TOO_LARGE", retryable: false } });
});

test("a message that Pulsar answers with an error is not published, and says why", async () => {
  const pulsar = await fakePulsar({
    onText: (text, socket) => socket.send(JSON.stringify({ result: "send-error:3", errorMsg: "queue is full", context: contextOf(text) })),
  });
  const connection = await connected(pulsar);

  await expect(connection.publish("orders", order("1"))).rejects.toMatchObject({
    code: "ERR_PUBLISH_FAILED",
    cause: { message: expect.stringContaining("queue is full") },
  });
});

test("a refusal rejects what waits, and the next message asks again, with a token of its own", async () => {
  let isLetIn = false;
  const pulsar = await fakePulsar({ refuse: () => (isLetIn ? undefined : 401), onText: (text, socket) => answer(socket, text) });
  let tokens = 0;
  const connection = await connected(pulsar, { token: async () => `token-${(tokens += 1)}` });

  await expect(connection.publish("orders", order("1"))).rejects.toMatchObject({
    code: "ERR_PUBLISH_FAILED",
    cause: { message: "Pulsar has answered 401: refused" },
  });
  isLetIn = true;
  await connection.publish("orders", order("2"));

  const seen = pulsar.requests.map(({ headers }) => headers.authorization);
  expect(seen).toHaveLength(2);
  expect(new Set(seen).size).toBe(2);
  expect(seen.every((each) => each?.startsWith("Bearer token-"))).toBe(true);
});

test("a subscription that is refused for good says so at once; one that the server is not ready for is tried on", async () => {
  const statuses = [503, 503, 403];
  const pulsar = await fakePulsar({ refuse: () => statuses.shift() });
  const connection = await connected(pulsar);

  await expect(connection.subscribe("orders", async () => {})).rejects.toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false });
  expect(pulsar.requests).toHaveLength(3);
});

test("what is not of the WebSocket API opens the socket anew, and is no end of the process", async () => {
  const pulsar = await fakePulsar();
  const connection = await connected(pulsar);
  await connection.subscribe("orders", async () => {});

  for (const socket of pulsar.sockets) socket.send("<html>");

  await vi.waitFor(() => expect(pulsar.requests).toHaveLength(2), patience);
  await vi.waitFor(() => expect(connection.status().state).toBe("connected"), patience);
});

test("a socket that leaves two pings unanswered is given up", async () => {
  const clock = virtualClock();
  const pulsar = await fakePulsar({ answersPings: false });
  const connection = await connected(pulsar, { clock, heartbeat: 1_000 });
  const states: string[] = [];
  connection.on("state", ({ state }) => states.push(state));
  await connection.subscribe("orders", async () => {});

  await clock.advance(1_000);
  const afterOne = [...states];
  await clock.advance(1_000);
  await vi.waitFor(() => expect(states).toEqual(["reconnecting"]), patience);

  expect(afterOne).toEqual([]);
});

test("attempts become rarer while nobody answers", async () => {
  const clock = virtualClock();
  const pulsar = await fakePulsar({ refuse: () => (pulsar.requests.length === 1 ? undefined : 503) });
  const connection = await connected(pulsar, { clock });
  await connection.subscribe("orders", async () => {});
  for (const socket of pulsar.sockets) socket.terminate();
  const waits: number[] = [];

  for (let attempt = 2; attempt < 9; attempt += 1) {
    const since = clock.now();
    await vi.waitFor(async () => {
      await clock.advance(50);
      expect(pulsar.requests.length).toBeGreaterThanOrEqual(attempt);
    }, patience);
    waits.push(clock.now() - since);
  }

  expect(waits.at(-1)).toBeGreaterThan(10 * (waits[0] ?? 0));
});

test("a delivery whose socket has gone is aborted, and its acknowledgement is not said over the next one", async () => {
  const texts: string[] = [];
  const pulsar = await fakePulsar({ onText: (text) => void texts.push(text) });
  const connection = await connected(pulsar);
  const loop = await connection.pull("orders");
  const send = (): void => {
    for (const socket of pulsar.sockets)
      socket.send(JSON.stringify({ messageId: "CAsQADAA", payload: "", properties: {}, redeliveryCount: 0 }));
  };
  const deliveries = loop[Symbol.asyncIterator]();

  send();
  const first = await deliveries.next();
  for (const socket of pulsar.sockets) socket.terminate();
  await vi.waitFor(() => expect(first.value?.signal.aborted).toBe(true), patience);
  await vi.waitFor(() => expect(pulsar.sockets.size).toBe(1), patience);
  await first.value?.ack();
  send();
  const second = await deliveries.next();
  await second.value?.nack();

  await vi.waitFor(() => expect(texts).toEqual([JSON.stringify({ type: "negativeAcknowledge", messageId: "CAsQADAA" })]), patience);
});

test("unsubscribe says when nobody knows whether the position is gone", async () => {
  const clock = virtualClock();
  const pulsar = await fakePulsar();
  const connection = await connected(pulsar, { clock, connectTimeout: 1_000 });
  const subscription = await connection.subscribe("orders", async () => {});

  const outcome = subscription.unsubscribe().catch((error: unknown) => error);
  await vi.waitFor(async () => {
    await clock.advance(100);
    expect(pulsar.sockets.size).toBe(0);
  }, patience);

  expect(await outcome).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true });
});

async function connected(pulsar: FakePulsar, options: Partial<PulsarConnectionOptions> = {}): Promise<Connection<PulsarNative>> {
  const connection = await pulsarConnection({ url: pulsar.url, adminUrl: false, ...options });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

function order(id: string, size: number = 10): Message {
  return createMessage({ id, key: "order-1", source: "shop", content: "x".repeat(size) });
}

function contextOf(text: string): string {
  const { context }: { readonly context: string } = JSON.parse(text);
  return context;
}

function answer(socket: WebSocket, text: string): void {
  socket.send(JSON.stringify({ result: "ok", messageId: "CAsQADAA", context: contextOf(text) }));
}
