import { pipeline, RetryAfterError, TerminalError } from "event-driver";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import type { TerminalFailure } from "@event-driver/google-cloud/functions";

import { toCloudEventFunction } from "@event-driver/google-cloud/functions";
import { recording } from "../recording.ts";
import { eventText, header, post, postNothing, serveCloudEvent } from "./framework.ts";

const structured = { "content-type": "application/cloudevents+json" };
const batch = { "content-type": "application/cloudevents-batch+json" };

test("events in binary and structured mode become the same message", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));
  const event =
    '{"specversion":"1.0","id":"e-1","source":"/shop#event1","type":"order.created","key":"order-1","datacontenttype":"application/json","data":{"total":12}}';

  const statuses = [(await post(url, header(), '{"total":12}')).status, (await post(url, structured, event)).status];

  expect(statuses).toEqual([204, 204]);
  expect(messages[0]).toMatchObject({ id: "e-1", key: "order-1", source: "event1", content: '{"total":12}' });
  expect(messages[1]).toEqual(messages[0]);
});

test("header fields are decoded, and attributes of structured mode stay as they are", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));

  await post(url, header({ "ce-key": "Zo%C3%AB" }), "{}");
  await post(url, structured, eventText("100%25", "{}"));

  expect(messages.map(({ key }) => key)).toEqual(["Zoë", "100%25"]);
});

test("bytes and data_base64 arrive as bytes", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));
  const encoded =
    '{"specversion":"1.0","id":"e-2","source":"/s","type":"t","key":"k","datacontenttype":"image/png","data_base64":"iVBORw=="}';

  await post(url, header({ "content-type": "application/protobuf" }), new Uint8Array([10, 1, 97]));
  await post(url, structured, encoded);

  expect(messages.map(({ content }) => Array.from(Buffer.from(content)))).toEqual([
    [10, 1, 97],
    [0x89, 0x50, 0x4e, 0x47],
  ]);
  expect(messages.every(({ content }) => content instanceof Uint8Array)).toBe(true);
});

test("text, and no data at all, are taken where they get through", async () => {
  const { messages, pipeline: orders } = recording();
  const receive = toCloudEventFunction(orders);
  const event = { specversion: "1.0", id: "e-1", source: "/s", type: "t", key: "k" };

  await receive({ ...event, data: "good day" });
  await receive(event);

  expect(messages.map(({ content }) => content)).toEqual(["good day", ""]);
});

test("the framework itself fails on text and on no data at all, which the documentation says", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));
  vi.spyOn(console, "error").mockReturnValue();
  const { "content-type": _, ...bare } = header();

  const statuses = [(await post(url, header({ "content-type": "text/plain" }), "good day")).status, await postNothing(url, bare)];

  expect(statuses).toEqual([500, 500]);
  expect(messages).toEqual([]);
});

test("a batch is taken apart, and acknowledged only when every event of it is done", async () => {
  const { messages, pipeline: recorded } = recording();
  const orders = recorded.use(async (_ctx, { id }) => {
    if (id === "later") throw new Error("no connection");
  });
  const url = await serveCloudEvent(toCloudEventFunction(orders));
  vi.spyOn(console, "error").mockReturnValue();

  const done = await post(url, batch, `[${eventText("a", "{}")},${eventText("b", "{}")}]`);
  const failed = await post(url, batch, `[${eventText("c", "{}")},${eventText("later", "{}")}]`);

  expect([done.status, failed.status]).toEqual([204, 500]);
  expect(messages.map(({ id }) => id)).toEqual(["a", "b", "c", "later"]);
});

test("what the framework acknowledges although it is no event is not acknowledged", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));
  vi.spyOn(console, "error").mockReturnValue();
  const { "ce-id": _, ...withoutId } = header();

  const statuses = [
    (await post(url, withoutId, '{"total":12}')).status,
    (await post(url, { "content-type": "application/octet-stream" }, new Uint8Array([1, 2]))).status,
    (await post(url, { "content-type": "text/plain" }, "good day")).status,
    (await post(url, batch, "no JSON")).status,
  ];

  expect(statuses).toEqual([500, 500, 500, 500]);
  expect(messages).toEqual([]);
});

test("what can never succeed is acknowledged when onTerminal has it", async () => {
  const failures: TerminalFailure[] = [];
  const orders = pipeline().use(() => Promise.reject(new TerminalError("cancelled")));
  const url = await serveCloudEvent(toCloudEventFunction(orders, { onTerminal: (failure) => failures.push(failure) }));

  const statuses = [(await post(url, header(), '{"total":12}')).status, (await post(url, batch, "no JSON")).status];

  expect(statuses).toEqual([204, 204]);
  expect(failures.map(({ message, body }) => [message?.id, new TextDecoder().decode(body)])).toEqual([
    ["e-1", '{"total":12}'],
    [undefined, "no JSON"],
  ]);
});

test("the error that the framework logs names the event and never its content", async () => {
  const orders = pipeline().use(() => Promise.reject(new RetryAfterError("the bank is closed", { retryAfter: 1_000 })));
  const charge = toCloudEventFunction(orders);

  const failure = charge({ specversion: "1.0", id: "e-1", source: "/s", type: "t", key: "k", data: { card: "4111" } });

  await expect(failure).rejects.toMatchObject({ code: "ERR_HANDLER_FAILED", retryable: true });
  await expect(failure).rejects.toThrow(/^event "e-1" is not acknowledged \(ERR_RETRY_AFTER\)/);
  await expect(failure).rejects.not.toThrow(/4111/);
});

test("whatever the framework hands over is processed or not acknowledged, and never breaks the function", async () => {
  const { messages, pipeline: orders } = recording();
  const receive = toCloudEventFunction(orders);

  await fc.assert(
    fc.asyncProperty(fc.anything({ withDate: true, withTypedArray: true, withNullPrototype: true }), async (event) => {
      await expect(receive(event)).rejects.toMatchObject({ code: "ERR_HANDLER_FAILED" });
    }),
  );

  expect(messages).toEqual([]);
});
