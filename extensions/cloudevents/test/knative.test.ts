import { createMessage, type Message, pipeline, withKey } from "event-driver";
import { describe, expect, test } from "vitest";

import { fromWire, type WireEvent } from "../src/event/wire-event.ts";
import { knativeFailure } from "../src/event/knative-failure.ts";
import { fetchHandler, type FetchHandlerOptions } from "../src/receive/fetch-handler.ts";
import { failing, recording, reply } from "./requests.ts";

// A record as knative-extensions/eventing-kafka-broker makes it an event, in validRecord and setKey of InvalidCloudEventInterceptor.java. The content
// type is that of the record's header, in lower case; other headers are extensions, their names without what attributes may not have.
const kafkaRecord = {
  "ce-specversion": "1.0",
  "ce-id": "partition:2/offset:4711",
  "ce-source": "/apis/v1/namespaces/shop/kafkasources/orders#event2",
  "ce-type": "dev.knative.kafka.event",
  "ce-time": "2026-01-02T03:04:05.678Z",
  "ce-subject": "partition:2#4711",
  "ce-kafkaheadertraceid": "4bf92f35",
  "content-type": "application/json; charset=utf-8",
};

// What a trigger adds on its way: knativearrivaltime by the broker's ingress, knativehistory by its channel, and the headers by
// pkg/kncloudevents/event_dispatcher.go of knative/eventing and by the activator of knative/serving.
const byTrigger = {
  "ce-knativearrivaltime": "2026-01-02T03:04:05.700656431Z",
  "ce-knativehistory": "default-kne-trigger-kn-channel.shop.svc.cluster.local",
  "ce-traceparent": "00-16456300519c5227ffe5f784a88da2f7-2db26af1daae870c-00",
  prefer: "reply",
  "kn-namespace": "shop",
  "k-proxy-request": "activator",
  forwarded: "for=10.1.2.3;proto=http",
  traceparent: "00-16456300519c5227ffe5f784a88da2f7-2db26af1daae870d-00",
};

describe("a record of KafkaSource", () => {
  test("is a message under its key, from the stream that its topic is", async () => {
    const { message } = await receive({ ...kafkaRecord, "ce-key": "order-1", "ce-partitionkey": "order-1" });

    expect(message).toEqual({
      id: "partition:2/offset:4711",
      key: "order-1",
      source: "event2",
      origin: "/apis/v1/namespaces/shop/kafkasources/orders#event2",
      type: "dev.knative.kafka.event",
      time: "2026-01-02T03:04:05.678Z",
      content: '{"amount":1.10}',
      attributes: expect.objectContaining({ subject: "partition:2#4711", kafkaheadertraceid: "4bf92f35", partitionkey: "order-1" }),
    });
  });

  test.each([
    ["int", "-7"],
    ["float", "1.5"],
    ["byte-array", "b3JkZXItMQ=="],
  ])("has the text of a key of type %s for its key", async (_, key) => {
    const { message } = await receive({ ...kafkaRecord, "ce-key": key, "ce-partitionkey": key });

    expect(message?.key).toBe(key);
  });

  test("without a key is refused for good: its place in a partition is the key of nothing", async () => {
    const { status, problem, message } = await receive(kafkaRecord);

    expect([status, problem, message]).toEqual([
      400,
      expect.objectContaining({ code: "ERR_NO_KEY", id: "partition:2/offset:4711" }),
      undefined,
    ]);
  });

  test("without a key is a message of its own where keyFrom ends with the id", async () => {
    const { status, message } = await receive(kafkaRecord, { keyFrom: ["key", "partitionkey", "subject", "id"] });

    expect([status, message?.key]).toEqual([204, "partition:2/offset:4711"]);
  });

  test("without a key may have it from its content", async () => {
    const { message } = await receive(kafkaRecord, { toMessage: keyedByAmount });

    expect(message?.key).toBe("amount-1.1");
  });

  test("without a content type is text, and without a value it is empty", async () => {
    const keyed = { ...kafkaRecord, "ce-key": "order-1", "content-type": undefined };

    const [text, tombstone] = [await receive(keyed), await receive(keyed, {}, "")];

    expect([text.message?.content, tombstone.message?.content]).toEqual(['{"amount":1.10}', ""]);
  });

  test("of the older adapter has its content type in a header of the record", async () => {
    const { message } = await receive({ ...kafkaRecord, "ce-key": "0", "ce-kafkaheadercontenttype": "application/json" });

    expect(message).toMatchObject({ key: "0", attributes: { kafkaheadercontenttype: "application/json" } });
  });
});

describe("an event that comes by a trigger", () => {
  test("has what Knative adds as attributes, and nothing of the HTTP header", async () => {
    const { message } = await receive({ ...kafkaRecord, "ce-key": "order-1", ...byTrigger });

    expect(message?.attributes).toEqual({
      subject: "partition:2#4711",
      kafkaheadertraceid: "4bf92f35",
      datacontenttype: "application/json; charset=utf-8",
      knativearrivaltime: "2026-01-02T03:04:05.700656431Z",
      knativehistory: "default-kne-trigger-kn-channel.shop.svc.cluster.local",
      traceparent: "00-16456300519c5227ffe5f784a88da2f7-2db26af1daae870c-00",
    });
  });

  test("has the same identity however often and by whichever way it comes", async () => {
    const first = await receive({ ...kafkaRecord, "ce-key": "order-1" });
    const second = await receive({ ...kafkaRecord, "ce-key": "order-1", ...byTrigger });

    expect([second.message?.origin, second.message?.id]).toEqual([first.message?.origin, first.message?.id]);
  });

  test("is answered with the reply of its handler, which the broker takes as an event", async () => {
    const handle = fetchHandler(pipeline().use(async (ctx) => ctx.reply(reply("r-1"))));

    const response = await handle(requestOf({ ...kafkaRecord, "ce-key": "order-1", ...byTrigger }));

    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({ "ce-specversion": "1.0", "ce-id": "r-1", "ce-type": "order.charged" });
  });

  test("that brings no reply is answered with no content", async () => {
    const response = await fetchHandler(recording().pipeline)(requestOf({ ...kafkaRecord, "ce-key": "order-1", ...byTrigger }));

    expect([response.status, await response.text()]).toEqual([204, ""]);
  });
});

describe("what Knative tells a dead letter sink", () => {
  test("is read with the answer out of its base64", async () => {
    // dispatchExecutionInfoTransformers of pkg/kncloudevents/event_dispatcher.go; the sample is that of config/brokers in the same repository.
    const { message } = await receive({
      ...kafkaRecord,
      ...byTrigger,
      "ce-key": "order-1",
      "ce-knativeerrordest": "http://fail.default.svc.cluster.local",
      "ce-knativeerrorcode": "500",
      "ce-knativeerrordata":
        "ZGlzcGF0Y2ggZXJyb3I6IFBvc3QgImh0dHA6Ly9mYWlsLmRlZmF1bHQuc3ZjLmNsdXN0ZXIubG9jYWwiOiBkaWFsIHRjcDogbG9va3VwIGZhaWwuZGVmYXVsdC5zdmMuY2x1c3Rlci5sb2NhbCBvbiAxMC45Ni4wLjEwOjUzOiBubyBzdWNoIGhvc3Q=",
    });

    expect(message && knativeFailure(message)).toEqual({
      destination: "http://fail.default.svc.cluster.local",
      code: 500,
      data: 'dispatch error: Post "http://fail.default.svc.cluster.local": dial tcp: lookup fail.default.svc.cluster.local on 10.96.0.10:53: no such host',
    });
  });

  test("holds the code of an error that a receiver of this package has answered with", async () => {
    const answer = await fetchHandler(failing(new Error("the till is closed")))(requestOf({ ...kafkaRecord, "ce-key": "order-1" }));
    const failure = knativeFailure(withData(btoa(await answer.text())));

    expect(JSON.parse(failure?.data ?? "")).toMatchObject({ status: 500, code: "ERR_HANDLER_FAILED", id: "partition:2/offset:4711" });
  });

  test("is cut by Knative after 1,024 characters, wherever that is in a character", () => {
    const cut = knativeFailure(
      withData(
        Buffer.from(`a${"ä".repeat(500)}`)
          .toString("base64")
          .slice(0, 1_024),
      ),
    );

    expect(cut?.data).toBe(`a${"ä".repeat(383)}`);
  });

  test("is bounded, whoever sends it", () => {
    expect(knativeFailure(withData("x ".repeat(100_000)))?.data).toHaveLength(1_024);
    expect(knativeFailure(withData("QUFB".repeat(100_000)))?.data).toHaveLength(768);
  });

  test.each(["Internal Server Error: no", "OKAY", "", '{"key": "value"}'])(
    "stays the text that it is where it is no text in base64: %s",
    (data) => {
      expect(knativeFailure(withData(data))?.data).toBe(data);
    },
  );

  test.each(["-1", "5e2", "", "many"])("has no code where that is no status: %s", (code) => {
    const message = createMessage({ key: "k", source: "s", content: "", attributes: { knativeerrorcode: code } });

    expect(knativeFailure(message)).toEqual({ destination: undefined, code: undefined, data: undefined });
  });

  test("is not there for an event that has not failed", () => {
    expect(knativeFailure(createMessage({ key: "k", source: "s", content: "" }))).toBeUndefined();
  });
});

/** Sends an event as it is to a receiver, and says what came of it. */
async function receive(
  headers: Readonly<Record<string, string | undefined>>,
  options: FetchHandlerOptions = {},
  body = '{"amount":1.10}',
): Promise<{ readonly status: number; readonly problem: unknown; readonly message: Message | undefined }> {
  const { messages, pipeline: orders } = recording();
  const response = await fetchHandler(orders, options)(requestOf(headers, body));
  return { status: response.status, problem: response.ok ? undefined : await response.json(), message: messages[0] };
}

function requestOf(headers: Readonly<Record<string, string | undefined>>, body = '{"amount":1.10}'): Request {
  const given = Object.entries(headers).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
  // As bytes: a text would bring a content type of its own.
  return new Request("http://orders.shop.svc.cluster.local/", { method: "POST", headers: given, body: new TextEncoder().encode(body) });
}

function withData(knativeerrordata: string): Message {
  return createMessage({ key: "k", source: "s", content: "", attributes: { knativeerrordata } });
}

function keyedByAmount(event: WireEvent): Message {
  const message = fromWire(event, { fallbackKey: "" });
  return message.key === "" ? withKey(message, `amount-${JSON.parse(String(message.content)).amount}`) : message;
}
