import { getEventListeners } from "node:events";
import { type Clock, createContext, createMessage, type Message, pipeline } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { expect, test } from "vitest";

import { sender } from "../src/send/sender.ts";
import { startSink } from "./sink.ts";

const order = createMessage({
  id: "1",
  key: "order-1",
  source: "event1",
  type: "order.created",
  content: '{"total":1.10}',
  attributes: { datacontenttype: "application/json" },
});

test("a message is sent as a binary CloudEvent", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());

  const reply = await sender({ url: sink.url }).send(order);

  expect(reply).toBeUndefined();
  expect(sink.requests).toMatchObject([
    {
      method: "POST",
      path: "/events",
      headers: { "ce-id": "1", "ce-source": "event1", "ce-type": "order.created", "ce-key": "order-1", "content-type": "application/json" },
      body: '{"total":1.10}',
    },
  ]);
});

test("a message is sent as a structured CloudEvent where that is asked for", async () => {
  const sink = await startSink((response) => response.writeHead(202).end("accepted"));

  await sender({ url: sink.url, mode: "structured" }).send(order);

  expect(sink.requests[0]?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
  expect(sink.requests[0]?.body).toContain('"key":"order-1","data":{"total":1.10}}');
});

test("text of no stated type is sent without a type", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());

  await sender({ url: sink.url }).send(createMessage({ key: "order-1", source: "event1", content: "hello" }));

  expect(sink.requests[0]?.headers).not.toHaveProperty("content-type");
  expect(sink.requests[0]?.body).toBe("hello");
});

test("messages share connections", async () => {
  const sink = await startSink((response) => response.writeHead(200).end("x".repeat(10_000)));
  const { send } = sender({ url: sink.url });

  for (let count = 0; count < 10; count += 1) await send(order);

  expect(sink.connections).toBeLessThanOrEqual(2);
});

test.each([300, 304, 400, 401, 404, 409, 422, 429, 500, 503])(
  "an answer of %i fails the message retryably, and is not tried again unasked",
  async (status) => {
    const sink = await startSink((response) => response.writeHead(status).end());

    const sending = sender({ url: sink.url }).send(order);

    await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
    expect(sink.requests).toHaveLength(1);
  },
);

test("a redirect is not followed", async () => {
  const elsewhere = await startSink((response) => response.writeHead(204).end());
  const sink = await startSink((response) => response.writeHead(307, { location: elsewhere.url }).end());

  const sending = sender({ url: sink.url, retry: {} }).send(order);

  await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", message: expect.stringContaining("redirect") });
  expect(sink.requests).toHaveLength(1);
  expect(elsewhere.requests).toHaveLength(0);
});

test.each([404, 408, 409, 429, 500, 502, 503, 504])(
  "an answer of %i is tried again by the policy until the sink accepts",
  async (status) => {
    const pauses: number[] = [];
    const sink = await startSink((response, count) => response.writeHead(count < 3 ? status : 200).end());

    await sender({ url: sink.url, retry: { baseDelay: 100 }, clock: pausing(pauses), random: () => 0.5 }).send(order);

    expect(sink.requests.map(({ headers }) => headers["ce-id"])).toEqual(["1", "1", "1"]);
    expect(pauses).toEqual([50, 100]);
  },
);

test.each([400, 401, 403, 405, 410, 413, 415, 422])(
  "an answer of %i is not tried again here, for it will not pass by itself",
  async (status) => {
    const sink = await startSink((response) => response.writeHead(status).end());

    const sending = sender({ url: sink.url, retry: {}, clock: pausing([]) }).send(order);

    await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryable: true });
    expect(sink.requests).toHaveLength(1);
  },
);

test("the message fails with the sink's last answer when the attempts are used up", async () => {
  const sink = await startSink((response) => response.writeHead(503, { "retry-after": "2" }).end("secret"));

  const sending = sender({ url: sink.url, retry: { maxAttempts: 4 }, clock: pausing([]) }).send(order);

  await expect(sending).rejects.toMatchObject({
    code: "ERR_SINK_FAILED",
    retryAfter: 2_000,
    message: `the sink ${sink.url} answered 503, at the last of 4 attempts: message "1" has to be sent again`,
  });
  expect(sink.requests).toHaveLength(4);
});

test.each([
  ["seconds", "3"],
  ["a date", "Sat, 21 Nov 2026 13:35:03 GMT"],
])("a Retry-After in %s is the least pause", async (_, header) => {
  const pauses: number[] = [];
  const sink = await startSink((response, count) => response.writeHead(count === 1 ? 429 : 204, { "retry-after": header }).end());
  const clock = pausing(pauses, Date.parse("2026-11-21T13:35:00Z"));

  await sender({ url: sink.url, retry: {}, clock }).send(order);

  expect(pauses).toEqual([3_000]);
});

test("a Retry-After beyond the longest pause is left to whoever delivered the message", async () => {
  const pauses: number[] = [];
  const sink = await startSink((response) => response.writeHead(503, { "retry-after": "120" }).end());

  const sending = sender({ url: sink.url, retry: {}, clock: pausing(pauses) }).send(order);

  await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryAfter: 120_000 });
  expect(pauses).toEqual([]);
  expect(sink.requests).toHaveLength(1);
});

test("no pause is begun that would reach the deadline", async () => {
  const sink = await startSink((response) => response.writeHead(503, { "retry-after": "5" }).end());

  const sending = sender({ url: sink.url, retry: {}, clock: pausing([]) }).send(order, { deadline: 5_000 });

  await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryAfter: 5_000 });
  expect(sink.requests).toHaveLength(1);
});

test("a failure that carries an event is a failure", async () => {
  const head = { "ce-specversion": "1.0", "ce-id": "r1", "ce-source": "bank", "ce-type": "refused" };
  const sink = await startSink((response) => response.writeHead(500, head).end());

  await expect(sender({ url: sink.url }).send(order)).rejects.toMatchObject({ code: "ERR_SINK_FAILED" });
});

test("what was sent leaves no timer and no listener behind", async () => {
  const sink = await startSink((response, count) => response.writeHead(count === 1 ? 204 : 500).end());
  const clock = virtualClock();
  const { signal } = new AbortController();
  const { send } = sender({ url: sink.url, clock });

  await send(order, { signal });
  await failure(send(order, { signal }));

  expect(clock.pending).toBe(0);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("a sink that hangs up is tried again", async () => {
  const sink = await startSink((response, count) => (count === 1 ? response.destroy() : response.writeHead(204).end()));

  await sender({ url: sink.url, retry: {}, clock: pausing([]) }).send(order);

  expect(sink.requests).toHaveLength(2);
});

test("a sink that cannot be reached fails the message with the reason as cause", async () => {
  const refused = new TypeError("fetch failed");

  const sending = sender({ url: "http://sink.example", fetch: () => Promise.reject(refused) }).send(order);

  await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, cause: refused });
});

test("a sink that does not answer within the timeout fails the message", async () => {
  const clock = virtualClock();
  const sink = await startSink(() => {});
  const outcome = failure(sender({ url: sink.url, timeout: 5_000, clock }).send(order));

  await sink.arrival;
  await clock.advance(5_000);

  expect(await outcome).toMatchObject({ code: "ERR_SINK_FAILED", message: expect.stringContaining("within 5000 ms") });
  await sink.hangUp;
});

test("a sink that accepts and then does not end its answer has accepted", async () => {
  const clock = virtualClock();
  const sink = await startSink((response) => response.writeHead(200).write("one"));
  const answered = Promise.withResolvers<void>();
  const observed: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    answered.resolve();
    return response;
  };
  const sending = sender({ url: sink.url, fetch: observed, clock }).send(order);

  await answered.promise;
  await clock.advance(10_000);

  await expect(sending).resolves.toBeUndefined();
});

test("a sink that accepts and breaks off its answer has accepted", async () => {
  const sink = await startSink((response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("one", () => response.destroy());
  });

  await expect(sender({ url: sink.url }).send(order)).resolves.toBeUndefined();
});

test("an answer without an end is read no further than the limit", async () => {
  const sink = await startSink((response) => {
    response.writeHead(200);
    // One turn of the event loop for each piece: where writes end at once, their callbacks alone would never let the reader have its turn.
    const flood = (): void => void (!response.destroyed && response.write("x".repeat(65_536), () => setImmediate(flood)));
    flood();
  });

  await expect(sender({ url: sink.url, replyBytes: 100_000 }).send(order)).resolves.toBeUndefined();
  await sink.hangUp;
});

test("aborting gives up what is sent, with the reason", async () => {
  const sink = await startSink(() => {});
  const controller = new AbortController();
  const reason = new Error("shutting down");
  const outcome = failure(sender({ url: sink.url, retry: {} }).send(order, { signal: controller.signal }));

  await sink.arrival;
  controller.abort(reason);

  expect(await outcome).toBe(reason);
  await sink.hangUp;
});

test("aborting ends a pause, with the reason", async () => {
  const controller = new AbortController();
  const reason = new Error("shutting down");
  const sink = await startSink((response) => response.writeHead(503).end());
  const clock: Clock = { now: () => 0, after: (delay) => (delay < 1_000 && queueMicrotask(() => controller.abort(reason)), () => {}) };

  const sending = sender({ url: sink.url, retry: {}, clock }).send(order, { signal: controller.signal });

  await expect(sending).rejects.toBe(reason);
  expect(sink.requests).toHaveLength(1);
});

test("nothing is sent for a signal that has aborted before", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());
  const reason = new Error("too late");

  await expect(sender({ url: sink.url }).send(order, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

  expect(sink.requests).toHaveLength(0);
});

test("a sender is the last stage of a pipeline, and the reply is the pipeline's", async () => {
  const head = { "ce-specversion": "1.0", "ce-id": "r1", "ce-source": "bank", "ce-type": "charged" };
  const sink = await startSink((response) => response.writeHead(200, head).end());
  const replies: Message[] = [];

  await pipeline()
    .use(sender({ url: sink.url }))
    .process(createContext({ onReply: (reply) => replies.push(reply) }), order);

  expect(replies).toMatchObject([{ id: "r1", key: "order-1" }]);
});

test("a pipeline fails with the sink's failure, its code and its wait", async () => {
  const sink = await startSink((response) => response.writeHead(503, { "retry-after": "7" }).end());

  const run = pipeline()
    .use(sender({ url: sink.url }))
    .process(createContext(), order);

  await expect(run).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, retryAfter: 7_000, stage: "sender" });
});

test("a message that is no CloudEvent is refused for good, and nothing is sent", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());

  const sending = sender({ url: sink.url }).send({ ...order, id: "" });

  await expect(sending).rejects.toMatchObject({ code: "ERR_INVALID_MESSAGE", retryable: false });
  expect(sink.requests).toHaveLength(0);
});

test("overrides stand in the place of the event's own extensions", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());
  const { send } = sender({ url: sink.url, overrides: { extensions: { tenant: "acme", key: "all" } } });

  await send({ ...order, attributes: { ...order.attributes, tenant: "other", traceparent: "t" } });

  expect(sink.requests[0]?.headers).toMatchObject({ "ce-tenant": "acme", "ce-key": "all", "ce-traceparent": "t" });
});

test("headers go with every request, and user info as its authorization", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());
  const url = sink.url.replace("http://", "http://caf%C3%A9:p%40ss@");

  await sender({ url, headers: { "X-Api-Key": "k" } }).send(order);

  expect(sink.requests[0]?.headers).toMatchObject({
    "x-api-key": "k",
    authorization: `Basic ${Buffer.from("café:p@ss").toString("base64")}`,
  });
});

test("errors show no user info, no query and no content", async () => {
  const sink = await startSink((response) => response.writeHead(500).end());
  const url = `${sink.url.replace("http://", "http://user:password@")}?token=secret#part`;

  const error: unknown = await sender({ url })
    .send(order)
    .catch((caught: unknown) => caught);

  expect(String(error)).toContain(sink.url);
  expect(String(error)).not.toMatch(/user|password|token|secret|part|total/);
  expect(sink.requests[0]?.path).toBe("/events?token=secret");
});

test("closing waits for what is in flight and refuses what comes after, retryably", async () => {
  const answer = Promise.withResolvers<void>();
  const sink = await startSink((response) => void answer.promise.then(() => response.writeHead(204).end()));
  const { send, close } = sender({ url: sink.url });
  const accepted = send(order);
  await sink.arrival;

  let closed = false;
  const closing = Promise.all([close(), close()]).then(() => (closed = true));
  const refused = await failure(send(order));
  await new Promise((resolve) => setImmediate(resolve));
  const closedEarly = closed;
  answer.resolve();
  await closing;

  expect(refused).toMatchObject({ code: "ERR_SENDER_CLOSED", retryable: true });
  expect(closedEarly).toBe(false);
  await expect(accepted).resolves.toBeUndefined();
});

/** What a promise is rejected with. It is taken hold of at once, whatever the test does before it looks. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await promise };
  } catch (error) {
    return error;
  }
}

/** A clock that stands still: it passes every pause at once, and no timeout. */
function pausing(pauses: number[], now = 0): Clock {
  return {
    now: () => now,
    after(delay, callback) {
      if (delay === 10_000) return () => {};
      pauses.push(delay);
      queueMicrotask(callback);
      return () => {};
    },
  };
}
