import type { WireEvent } from "@event-driver/cloudevents";

import { createContext, createMessage, decode, identityOf, pipeline } from "event-driver";
import { describe, expect, test } from "vitest";

import {
  pubsubMessage,
  storageFinalized,
  storageObject,
  type StorageObjectData,
  toCloudEventFunction,
  toHttpFunction,
} from "@event-driver/google-cloud/functions";
import { recording } from "../recording.ts";
import { post, serveCloudEvent, serveHttp } from "./framework.ts";

const published = {
  "ce-specversion": "1.0",
  "ce-id": "7521",
  "ce-source": "//pubsub.googleapis.com/projects/shop/topics/orders",
  "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
  "ce-time": "2026-11-21T10:00:01.5Z",
  "content-type": "application/json",
};

const delivery = {
  message: {
    data: Buffer.from('{"total":12}').toString("base64"),
    attributes: { tenant: "acme", "content-type": "application/json" },
    messageId: "7521",
    message_id: "7521",
    publishTime: "2026-11-21T10:00:01.4Z",
    publish_time: "2026-11-21T10:00:01.4Z",
    orderingKey: "order-1",
  },
  subscription: "projects/shop/subscriptions/eventarc-orders",
  deliveryAttempt: 3,
};

describe("a Pub/Sub message that Eventarc tells of", () => {
  test("is unwrapped, with its attributes, ordering key, time and delivery attempt", async () => {
    const { messages, attempts, pipeline: orders } = recording();
    const url = await serveHttp(toHttpFunction(orders, { toMessage: pubsubMessage() }));

    const { status } = await post(url, published, JSON.stringify(delivery));

    expect(status).toBe(204);
    expect(messages).toEqual([
      {
        id: "7521",
        key: "order-1",
        source: "orders",
        origin: "//pubsub.googleapis.com/projects/shop/topics/orders",
        type: "google.cloud.pubsub.topic.v1.messagePublished",
        time: "2026-11-21T10:00:01.4Z",
        content: '{"total":12}',
        attributes: expect.objectContaining({ tenant: "acme", datacontenttype: "application/json" }),
      },
    ]);
    expect(attempts).toEqual([3]);
  });

  test("is the same message in a CloudEvent function", async () => {
    const http = recording();
    const cloudEvent = recording();
    const [one, other] = [
      await serveHttp(toHttpFunction(http.pipeline, { toMessage: pubsubMessage() })),
      await serveCloudEvent(toCloudEventFunction(cloudEvent.pipeline, { toMessage: pubsubMessage() })),
    ];

    for (const url of [one, other]) await post(url, published, JSON.stringify(delivery));

    expect(cloudEvent.messages).toEqual(http.messages);
    expect(cloudEvent.attempts).toEqual([3]);
  });

  test("arrives in a CloudEvent function also when a push subscription of the emulator sends it bare", async () => {
    const { messages, pipeline: orders } = recording();
    const url = await serveCloudEvent(toCloudEventFunction(orders, { toMessage: pubsubMessage() }));

    const { status } = await post(`${url}projects/shop/topics/orders`, { "content-type": "application/json" }, JSON.stringify(delivery));

    expect(status).toBe(204);
    expect(messages).toMatchObject([{ id: "7521", source: "orders", content: '{"total":12}' }]);
  });

  test("keeps the trace that Eventarc continues, unless it has its own", () => {
    const toMessage = pubsubMessage();

    const followed = toMessage(eventOf(delivery, { traceparent: "00-a" }));
    const own = toMessage(eventOf({ message: { messageId: "1", attributes: { traceparent: "00-b" } } }, { traceparent: "00-a" }));

    expect([followed.attributes["traceparent"], own.attributes["traceparent"]]).toEqual(["00-a", "00-b"]);
  });

  test("is told apart from other events, which become messages as they are", () => {
    const message = pubsubMessage({ keyFrom: ["tenant"] })({
      attributes: { id: "1", source: "/s", type: "order.created", tenant: "acme" },
      data: "{}",
    });

    expect(message).toMatchObject({ key: "acme", content: "{}" });
  });
});

describe("an event of Cloud Storage", () => {
  const object = {
    kind: "storage#object",
    bucket: "uploads",
    name: "2026/cat.png",
    generation: "1700000000000001",
    size: "1024",
    metadata: { owner: "ann" },
  };

  test("is keyed by the object's name, comes from its bucket and is typed by decode", async () => {
    const seen: [string, string, StorageObjectData][] = [];
    const thumbnails = pipeline()
      .use(decode(storageObject))
      .use(async (_ctx, { key, source, content }) => void seen.push([key, source, content]));
    const url = await serveHttp(toHttpFunction(thumbnails, { toMessage: storageFinalized() }));
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": "99",
      "ce-source": "//storage.googleapis.com/projects/_/buckets/uploads",
      "ce-type": "google.cloud.storage.object.v1.finalized",
      "ce-subject": "objects/2026/cat.png",
      "content-type": "application/json",
    };

    const { status } = await post(url, headers, JSON.stringify(object));

    expect(status).toBe(204);
    const { kind: _, ...told } = object;
    expect(seen).toEqual([["2026/cat.png", "uploads", { ...told, metadata: expect.objectContaining({ owner: "ann" }) }]]);
  });

  test("keeps the identity that CloudEvents gives it", () => {
    const message = storageFinalized({ key: ({ bucket, name }) => `${bucket}/${name}` })(storageEvent(object));

    expect(message.key).toBe("uploads/2026/cat.png");
    expect(identityOf(message)).toBe('["//storage.googleapis.com/projects/_/buckets/uploads","99"]');
  });

  test.each([
    ["no JSON", "not JSON"],
    ["[]", "not a JSON object"],
    ['{"bucket":"b","generation":"1"}', "has no name"],
    ['{"bucket":"b","name":"n","generation":1}', "generation of a storage object is not a string"],
    ['{"bucket":"b","name":"n","generation":"1","metadata":{"a":1}}', "metadata of a storage object is not a string"],
  ])("is refused for good when its data is malformed: %s", (data, problem) => {
    const convert = (): unknown => storageFinalized()({ ...storageEvent(object), data });

    expect(convert).toThrow(problem);
    expect(convert).toThrow(expect.objectContaining({ code: "ERR_INVALID_MESSAGE", retryable: false }));
  });

  test("fails in decode with what is wrong when the data does not tell of an object", async () => {
    const message = createMessage({ key: "k", source: "uploads", content: '{"bucket":"uploads"}' });

    const run = pipeline().use(decode(storageObject)).process(createContext(), message);

    await expect(run).rejects.toThrow(/has no name/);
  });

  function storageEvent(data: unknown): WireEvent {
    const attributes = {
      id: "99",
      source: "//storage.googleapis.com/projects/_/buckets/uploads",
      type: "google.cloud.storage.object.v1.finalized",
    };
    return { attributes, data: JSON.stringify(data) };
  }
});

function eventOf(data: unknown, attributes: Readonly<Record<string, string>>): WireEvent {
  return {
    attributes: {
      id: "7521",
      source: "//pubsub.googleapis.com/projects/shop/topics/orders",
      type: "google.cloud.pubsub.topic.v1.messagePublished",
      ...attributes,
    },
    data: JSON.stringify(data),
  };
}
