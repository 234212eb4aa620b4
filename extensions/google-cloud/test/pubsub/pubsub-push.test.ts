import { encode } from "@event-driver/cloudevents";
import { createMessage, deadLetter, memoryEventStore, pipeline, TerminalError } from "event-driver";
import { deadLetters } from "event-driver/dead-letters";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { TerminalFailure } from "@event-driver/google-cloud/pubsub";

import { pubsubPush } from "@event-driver/google-cloud/pubsub";
import { recording } from "../recording.ts";
import { base64, push, unwrapped, wrapped } from "./deliveries.ts";

describe("a wrapped message", () => {
  test("becomes a message with its id, ordering key, time, attributes and delivery attempt", async () => {
    const { messages, attempts, pipeline: orders } = recording();
    const attributes = { tenant: "acme", "Content-Type": "application/json" };

    const response = await pubsubPush(orders).fetch(push(wrapped({ attributes, orderingKey: "order-1" }, { deliveryAttempt: 4 })));

    expect(response.status).toBe(204);
    expect(messages).toEqual([
      {
        id: "7521",
        key: "order-1",
        source: "orders-push",
        origin: "//pubsub.googleapis.com/projects/shop/subscriptions/orders-push",
        type: "google.cloud.pubsub.topic.v1.messagePublished",
        time: "2026-11-21T10:00:01.4Z",
        content: '{"total":12}',
        attributes: expect.objectContaining({ tenant: "acme", datacontenttype: "application/json" }),
      },
    ]);
    expect(attempts).toEqual([4]);
  });

  test("without an ordering key stands for itself, and without a count is the first attempt", async () => {
    const { messages, attempts, pipeline: orders } = recording();

    await pubsubPush(orders).fetch(push(wrapped({ orderingKey: "" })));

    expect(messages[0]?.key).toBe("7521");
    expect(attempts).toEqual([1]);
  });

  test("takes the key and the source that the options say", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders, { key: ({ attributes }) => attributes["orderId"], source: "orders" });

    await door.fetch(push(wrapped({ attributes: { orderId: "order-7" }, orderingKey: "order-1" })));
    await door.fetch(push(wrapped({ orderingKey: "order-1" })));

    expect(messages.map(({ key, source }) => [key, source])).toEqual([
      ["order-7", "orders"],
      ["order-1", "orders"],
    ]);
  });

  test("may hold bytes, or attributes alone", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders);

    await door.fetch(push(wrapped({ data: base64(new Uint8Array([0xff, 0])) })));
    await door.fetch(push(wrapped({ data: undefined, attributes: { done: "yes" } })));

    expect(messages[0]?.content).toEqual(new Uint8Array([0xff, 0]));
    expect(messages[1]).toMatchObject({ content: "", attributes: { done: "yes" } });
  });

  test("arrives with all of its data and attributes, whatever they are", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders);
    const name = fc
      .string({ minLength: 1, unit: "grapheme" })
      .filter((each) => !/^(ce-|content-type$|datacontenttype$|__proto__$)/i.test(each));

    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1 }), fc.dictionary(name, fc.string({ unit: "grapheme" })), async (data, attributes) => {
        messages.length = 0;

        const response = await door.fetch(push(wrapped({ data: base64(data), attributes })));

        expect(response.status).toBe(204);
        expect(Buffer.from(messages[0]?.content ?? "")).toEqual(Buffer.from(data));
        expect({ ...messages[0]?.attributes }).toEqual({ ...attributes });
      }),
    );
  });

  test.each([
    ["no JSON", "is not JSON"],
    ["[]", "is not a JSON object"],
    ["{}", "holds no message"],
    [wrapped({ messageId: undefined, message_id: undefined }), "has no messageId"],
    [wrapped({ messageId: 7 }), "messageId of a Pub/Sub message is not a string"],
    [wrapped({ data: "%%%=" }), 'data of Pub/Sub message "7521" is not base64'],
    [wrapped({ data: "abc" }), 'data of Pub/Sub message "7521" is not base64'],
    [wrapped({ attributes: ["a"] }), "attributes of Pub/Sub message"],
    [wrapped({ attributes: { a: 1 } }), "attributes of Pub/Sub message"],
    [wrapped({}, { deliveryAttempt: 0 }), "deliveryAttempt of Pub/Sub message"],
  ])("that is malformed is refused, and said why: %s", async (body, problem) => {
    const { messages, pipeline: orders } = recording();

    const response = await pubsubPush(orders).fetch(push(body));

    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "ERR_INVALID_MESSAGE", detail: expect.stringContaining(problem) });
    expect(messages).toEqual([]);
  });

  test("never breaks the door, whatever JSON is sent", async () => {
    const door = pubsubPush(recording().pipeline);

    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (message, attributes) => {
        for (const body of [
          message,
          { message },
          { message: { messageId: "1", attributes } },
          { message: { messageId: "1", data: attributes } },
        ]) {
          const { status } = await door.fetch(push(JSON.stringify(body)));
          expect([204, 400]).toContain(status);
        }
      }),
    );
  });
});

describe("an unwrapped message", () => {
  test("takes its metadata from the header, and of its attributes those that are named", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders, { attributeHeaders: ["tenant", "orderId"] });
    const headers = {
      "x-goog-pubsub-ordering-key": "order-1",
      tenant: "acme",
      orderid: "o-1",
      authorization: "Bearer secret",
      "x-api-key": "secret",
    };

    const response = await door.fetch(unwrapped('{"total":12}', headers));

    expect(response.status).toBe(204);
    expect(messages).toEqual([
      {
        id: "7521",
        key: "order-1",
        source: "orders-push",
        origin: "//pubsub.googleapis.com/projects/shop/subscriptions/orders-push",
        type: "google.cloud.pubsub.topic.v1.messagePublished",
        time: "2026-11-21T10:00:01.4Z",
        content: '{"total":12}',
        attributes: expect.objectContaining({ tenant: "acme", orderId: "o-1", datacontenttype: "application/json" }),
      },
    ]);
    expect(JSON.stringify(messages)).not.toMatch(/secret/);
  });

  test("without its metadata is not acknowledged", async () => {
    const { messages, pipeline: orders } = recording();

    const response = await pubsubPush(orders).fetch(push('{"total":12}'));

    expect(response.status).toBe(400);
    expect(messages).toEqual([]);
  });
});

describe("a CloudEvent in a Pub/Sub message", () => {
  const event = createMessage({
    id: "e-1",
    key: "order-1",
    source: "event1",
    origin: "/shop#event1",
    type: "order.created",
    time: "2026-11-21T09:00:00Z",
    content: '{"total":1.10}',
    attributes: { datacontenttype: "application/json", tenant: "Zoë 100%25" },
  });
  const attributes = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/shop#event1",
    "ce-type": "order.created",
    "ce-time": "2026-11-21T09:00:00Z",
    "ce-key": "order-1",
    "ce-tenant": "Zoë 100%25",
    "content-type": "application/json",
  };

  test("in binary or structured mode, wrapped or not, becomes that event", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders);
    const structured = String(encode(event, { mode: "structured" }).body);
    const contentType = "application/cloudevents+json; charset=utf-8";
    const data = base64('{"total":1.10}');

    const responses = [
      await door.fetch(push(wrapped({ data, attributes }))),
      await door.fetch(push(wrapped({ data: base64(structured), attributes: { "Content-Type": contentType } }))),
      await door.fetch(unwrapped(structured, { "content-type": contentType })),
      await door.fetch(unwrapped('{"total":1.10}', { ...attributes, "ce-tenant": Buffer.from("Zoë 100%25").toString("latin1") })),
    ];

    expect(responses.map(({ status }) => status)).toEqual([204, 204, 204, 204]);
    expect(messages).toEqual([event, event, event, event]);
  });

  test("keeps the other attributes of its Pub/Sub message", async () => {
    const { messages, pipeline: orders } = recording();

    await pubsubPush(orders).fetch(push(wrapped({ attributes: { ...attributes, region: "eu" } })));

    expect(messages[0]?.attributes["region"]).toBe("eu");
  });

  test("has the key that it states, else the ordering key, else its subject", async () => {
    const { messages, pipeline: orders } = recording();
    const door = pubsubPush(orders);
    const { "ce-key": _, ...keyless } = attributes;
    const subject = { ...keyless, "ce-subject": "invoice" };

    await door.fetch(push(wrapped({ attributes, orderingKey: "ordering" })));
    await door.fetch(push(wrapped({ attributes: subject, orderingKey: "ordering" })));
    await door.fetch(push(wrapped({ attributes: subject })));
    await door.fetch(push(wrapped({ attributes: keyless })));

    expect(messages.map(({ key }) => key)).toEqual(["order-1", "ordering", "invoice", "7521"]);
  });

  test.each([
    [{ ...attributes, "ce-specversion": "0.3" }, 400],
    [{ ...attributes, "ce-time": "yesterday" }, 400],
    [{ "content-type": "application/cloudevents+json" }, 400],
    [{ "content-type": "application/cloudevents+protobuf" }, 415],
    [{ "content-type": "application/cloudevents-batch+json" }, 415],
  ])("is refused when it is none: %j", async (given, status) => {
    const { messages, pipeline: orders } = recording();

    const response = await pubsubPush(orders).fetch(push(wrapped({ attributes: given })));

    expect(response.status).toBe(status);
    expect(messages).toEqual([]);
  });

  test("in structured mode has to be UTF-8", async () => {
    const response = await pubsubPush(recording().pipeline).fetch(
      push(wrapped({ data: base64(new Uint8Array([0xff])), attributes: { "content-type": "application/cloudevents+json" } })),
    );

    expect(response.status).toBe(400);
  });
});

describe("what Pub/Sub is answered", () => {
  test.each([
    ["is done", async () => {}, 204],
    ["fails retryably", () => Promise.reject(new Error("no connection")), 500],
    ["can never succeed and has no place to go", () => Promise.reject(new TerminalError("cancelled")), 422],
  ])("when a message %s", async (_, stage, status) => {
    const response = await pubsubPush(pipeline().use(stage)).fetch(push(wrapped()));

    expect(response.status).toBe(status);
  });

  test("is an acknowledgement when a dead letter stage has put the message aside, from the attempt it was told on", async () => {
    const store = memoryEventStore();
    const door = pubsubPush(
      pipeline()
        .use(deadLetter({ store, maxAttempts: 3 }))
        .use(() => Promise.reject(new Error("no connection"))),
    );

    const statuses = [];
    for (const deliveryAttempt of [2, 3]) statuses.push((await door.fetch(push(wrapped({}, { deliveryAttempt })))).status);

    expect(statuses).toEqual([500, 204]);
    expect((await deadLetters(store).list()).map(({ message, attempts }) => [message.id, attempts])).toEqual([["7521", 3]]);
  });

  test("is an acknowledgement when onTerminal has the message, or the body that holds none", async () => {
    const failures: TerminalFailure[] = [];
    const door = pubsubPush(
      pipeline().use(() => Promise.reject(new TerminalError("cancelled"))),
      { onTerminal: (failure) => failures.push(failure) },
    );

    const statuses = [(await door.fetch(push(wrapped()))).status, (await door.fetch(push("{}"))).status];

    expect(statuses).toEqual([204, 204]);
    expect(failures.map(({ message, body }) => [message?.id, new TextDecoder().decode(body)])).toEqual([
      ["7521", wrapped()],
      [undefined, "{}"],
    ]);
  });

  test("is 401 where authenticate refuses it, before anything is read", async () => {
    const failures: TerminalFailure[] = [];
    const door = pubsubPush(recording().pipeline, {
      authenticate: ({ headers }) =>
        headers.get("authorization") === "Bearer good" ? { accepted: true } : { accepted: false, status: 401 },
      onTerminal: (failure) => failures.push(failure),
    });

    const statuses = [
      (await door.fetch(push("no JSON"))).status,
      (await door.fetch(push(wrapped(), { authorization: "Bearer good" }))).status,
    ];

    expect(statuses).toEqual([401, 204]);
    expect(failures).toEqual([]);
  });

  test("is 413 beyond the limit, even with onTerminal, for there is nothing to keep", async () => {
    const door = pubsubPush(recording().pipeline, { bodyBytes: 10, onTerminal: () => {} });

    expect((await door.fetch(push(wrapped()))).status).toBe(413);
  });
});

test("a server of its own answers as fetch does", async () => {
  const { messages, pipeline: orders } = recording();
  const listening = await pubsubPush(orders).listen({ port: 0 });

  const { status } = await fetch(listening.url, { method: "POST", body: wrapped(), headers: { connection: "close" } });
  await listening.close();

  expect(status).toBe(204);
  expect(messages).toHaveLength(1);
});

test("an option that is not allowed is refused when the door is made", () => {
  expect(() => pubsubPush(pipeline(), { concurrency: 0 })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});
