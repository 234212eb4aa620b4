import { createMessage } from "event-driver";
import { expect, test } from "vitest";

import { sender } from "../src/send/sender.ts";
import { startSink } from "./sink.ts";

const order = createMessage({ id: "1", key: "order-1", source: "event1", type: "order.created", content: '{"total":1.10}' });

test("a reply in binary mode is returned as a message", async () => {
  const head = { "ce-specversion": "1.0", "ce-id": "r1", "ce-source": "https://bank#charged", "ce-type": "charged", "ce-key": "k" };
  const sink = await startSink((response) => response.writeHead(200, { ...head, "content-type": "application/json" }).end("1e400"));

  const reply = await sender({ url: sink.url }).send(order);

  expect(reply).toMatchObject({ id: "r1", key: "k", source: "charged", origin: "https://bank#charged", type: "charged", content: "1e400" });
});

test("a reply without a key has the key of what it answers", async () => {
  const event = { specversion: "1.0", id: "r1", source: "bank", type: "charged", data: { ok: true } };
  const sink = await startSink((response) =>
    response.writeHead(200, { "content-type": "application/cloudevents+json" }).end(JSON.stringify(event)),
  );

  const reply = await sender({ url: sink.url }).send(order);

  expect(reply).toMatchObject({ id: "r1", key: "order-1", source: "bank", content: '{"ok":true}' });
});

test.each([
  ["is no CloudEvent", { "ce-specversion": "1.0", "ce-id": "r1" }, ""],
  ["is no JSON", { "content-type": "application/cloudevents+json" }, "{"],
  ["is a batch", { "content-type": "application/cloudevents-batch+json" }, "[{},{}]"],
  ["is larger than the limit", { "content-type": "application/cloudevents+json" }, "x".repeat(2_000)],
])("a reply that %s fails the message, for it would be lost", async (_, headers, body) => {
  const sink = await startSink((response) => response.writeHead(200, headers).end(body));

  const sending = sender({ url: sink.url, replyBytes: 1_000, retry: {} }).send(order);

  await expect(sending).rejects.toMatchObject({ code: "ERR_SINK_FAILED", retryable: true, message: expect.stringContaining("replied") });
  expect(sink.requests).toHaveLength(1);
});
