import { expect, test } from "vitest";

import { requestOf, sampleOrder } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { type Arrival, type SinkAnswer, startOrderSink } from "./order-sink.ts";
import { post } from "./senders.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";

const order = sampleOrder("order-1");
const [event1, event2, event3] = [requestOf(order.events[0]), requestOf(order.events[1]), requestOf(order.events[2])];

test.each<[what: string, fault: SinkAnswer]>([
  ["answers 500", { status: 500 }],
  ["answers 503 with Retry-After", { status: 503, headers: { "retry-after": "1" } }],
  ["answers 429", { status: 429 }],
  ["answers 404", { status: 404 }],
  ["answers 400", { status: 400 }],
  ["sends it elsewhere", { status: 307, headers: { location: "/elsewhere" } }],
  ["breaks the connection", "hang up"],
])("while the sink %s, the last sender sees 500 and tries again, and then the order goes out once", async (_, fault) => {
  const sink = await startOrderSink(createTimeline(), ({ count }) => (count <= 2 ? fault : { status: 204 }));
  const service = startOrderService({ PORT: "0", STORE: "memory:", K_SINK: sink.addressFor("it"), LOG_LEVEL: "fatal" });
  const url = await service.ready();

  const answers = [];
  for (const request of [event1, event2, event3, event3, event3, event3, event1]) answers.push(await post(url, request));

  expect(answers.map((answer) => answer?.status)).toEqual([202, 202, 500, 500, 204, 204, 204]);
  expect(answers[2]?.headers.get("retry-after") ?? undefined).toBe(fault === "hang up" ? undefined : fault.headers?.["retry-after"]);
  expect(sink.arrivals).toHaveLength(3);
  expectOneOrder(sink.arrivals);
  expect(sink.accepted(order.key)).toHaveLength(1);
});

test("while the sink does not answer, a repeat at another process sees 409 and the last sender 500, and then the order goes out once", async () => {
  const sink = await startOrderSink(createTimeline(), ({ count }) => (count === 1 ? new Promise(() => {}) : { status: 204 }));
  const file = `${temporaryFolder()}/orders.db`;
  const [first, second] = await Promise.all([startedUrl(file, sink.addressFor("first")), startedUrl(file, sink.addressFor("second"))]);

  await post(first, event1);
  await post(second, event2);
  const last = post(first, event3);
  await sink.until(() => sink.arrivals.length === 1);
  const repeat = await post(second, event3);
  const unanswered = await last;
  const again = await post(second, event3);

  expect(repeat?.status).toBe(409);
  expect(Number(repeat?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(unanswered?.status).toBe(500);
  expect(again?.status).toBe(204);
  expect(sink.arrivals.map(({ from }) => from)).toEqual(["first", "second"]);
  expectOneOrder(sink.arrivals);
  expect(sink.accepted(order.key)).toHaveLength(1);
});

async function startedUrl(file: string, K_SINK: string): Promise<string> {
  return startOrderService({ PORT: "0", STORE: `sqlite:${file}`, K_SINK, LOG_LEVEL: "fatal" }).ready();
}

/** Each attempt is the same event. */
function expectOneOrder(arrivals: readonly Arrival[]): void {
  expect(new Set(arrivals.map(({ id }) => id)).size).toBe(1);
  expect(new Set(arrivals.map(({ body }) => body))).toEqual(new Set([order.composed]));
}
