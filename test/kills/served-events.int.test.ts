import { expect, test } from "vitest";

import { requestOf, sampleOrder } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { startOrderSink } from "./order-sink.ts";
import { post } from "./senders.ts";
import { createTimeline } from "./timeline.ts";

test("what goes to the sink is one event of a composed type, with a stable id, the key, the time and the data as it was written", async () => {
  const order = sampleOrder("order-1");
  const sink = await startOrderSink(createTimeline(), ({ count }) => ({ status: count === 1 ? 500 : 204 }));
  const service = startOrderService({ PORT: "0", STORE: "memory:", K_SINK: sink.addressFor("it"), LOG_LEVEL: "fatal" });
  const url = await service.ready();

  for (const event of [...order.events, ...order.events]) await post(url, requestOf(event));

  const [refused, accepted] = sink.arrivals;
  expect(sink.arrivals).toHaveLength(2);
  expect(accepted?.headers).toMatchObject({
    "ce-specversion": "1.0",
    "ce-type": "composed-event",
    "ce-id": refused?.id,
    "ce-key": order.key,
    "ce-time": order.time,
    "content-type": "application/json",
  });
  expect(accepted?.body).toBe(order.composed);
});

test.each([
  ["no attribute to take it from", {}],
  ["empty ones", { key: "", partitionkey: "", subject: "" }],
  ["the position of a Kafka record as its subject", { subject: "partition:0#42" }],
])("an event without a key, with %s, is answered with 400", async (_, attributes) => {
  const url = await startOrderService({ PORT: "0", STORE: "memory:", LOG_LEVEL: "fatal" }).ready();

  const answer = await post(url, eventWith({ ...attributes, source: "/shop#event1" }));

  expect(answer?.status).toBe(400);
});

test.each([
  ["key before all others", { key: "order-1", partitionkey: "no", subject: "no" }],
  ["partitionkey before subject", { partitionkey: "order-1", subject: "no" }],
  ["subject where there is nothing else", { subject: "order-1" }],
  ["partitionkey where the key is empty", { key: "", partitionkey: "order-1" }],
])("the key of an event is %s", async (_, attributes) => {
  const sink = await startOrderSink(createTimeline());
  const url = await startOrderService({ PORT: "0", STORE: "memory:", K_SINK: sink.addressFor("it") }).ready();

  for (const name of ["event1", "event2", "event3"]) await post(url, eventWith({ ...attributes, source: `/shop#${name}` }));

  expect(sink.arrivals.map(({ key }) => key)).toEqual(["order-1"]);
});

test("an event is of the source behind the last #, or of the whole, and is the same event only if the whole source is the same", async () => {
  const sink = await startOrderSink(createTimeline());
  const url = await startOrderService({ PORT: "0", STORE: "memory:", K_SINK: sink.addressFor("it") }).ready();
  const [old, recent] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];

  for (const event of [
    { source: "event3", data: { at: 3 } },
    { source: "/one#event2", time: old, data: { at: "one" } },
    { source: "/two#event2", time: recent, data: { at: "two" } },
    { source: "/two#event2", time: recent, data: { at: "two" } },
    { source: "/shop#1#event1", data: {} },
  ])
    expect((await post(url, eventWith({ key: "order-1", ...event })))?.status).toBeLessThan(300);

  expect(sink.arrivals.map(({ body }) => body)).toEqual(['{"event1":"","event2":{"at":"two"},"event3":{"at":3}}']);
});

/** A structured event, always of the same id. */
function eventWith(attributes: Readonly<Record<string, unknown>>): {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  return {
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id: "e-1", type: "t", data: {}, ...attributes }),
  };
}
