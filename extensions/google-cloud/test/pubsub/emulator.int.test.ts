import { createMessage, identityOf } from "event-driver";
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Listening } from "@event-driver/cloudevents";

import { encode } from "@event-driver/cloudevents";
import { pubsubPush } from "@event-driver/google-cloud/pubsub";
import { services, suiteWith } from "../../../../test/services.ts";
import { recording } from "../recording.ts";
import { base64 } from "./deliveries.ts";

const suite = await suiteWith("pubsub");

suite("a push subscription of Google's emulator", () => {
  let topic: Topic;
  let listening: Listening | undefined;

  beforeEach(async () => {
    topic = await createTopic();
  });

  afterEach(async () => {
    await topic.remove();
    await listening?.close();
  });

  test("delivers messages with their attributes, wrapped", async () => {
    const { messages, pipeline: recorded } = recording();
    const all = arrival(messages, 3);
    listening = await pubsubPush(recorded.use(all.stage)).listen({ port: 0 });
    await topic.subscribe({ pushEndpoint: listening.url });

    for (const total of [1, 2, 3]) await topic.publish({ data: base64(`{"total":${total}}`), attributes: { tenant: "Zoë" } });
    await all.arrived;

    const contents = distinct(messages).map(({ content }) => content);
    expect(new Set(contents)).toEqual(new Set(['{"total":1}', '{"total":2}', '{"total":3}']));
    expect(messages[0]).toMatchObject({
      source: topic.subscription,
      origin: `//pubsub.googleapis.com/projects/test/subscriptions/${topic.subscription}`,
      attributes: { tenant: "Zoë" },
    });
    expect(messages.every(({ time }) => time !== undefined && !Number.isNaN(Date.parse(time)))).toBe(true);
  });

  test("delivers messages with their attributes and ordering keys, unwrapped", async () => {
    const { messages, pipeline: recorded } = recording();
    const all = arrival(messages, 2);
    listening = await pubsubPush(recorded.use(all.stage), { attributeHeaders: ["tenant"] }).listen({ port: 0 });
    await topic.subscribe({ pushEndpoint: listening.url, noWrapper: { writeMetadata: true } });

    for (const orderingKey of ["a", "b"]) await topic.publish({ data: base64("{}"), attributes: { tenant: "Zoë" }, orderingKey });
    await all.arrived;

    const received = distinct(messages).toSorted((one, other) => (one.key < other.key ? -1 : 1));
    expect(received).toMatchObject([
      { key: "a", source: topic.subscription, content: "{}", attributes: { tenant: "Zoë" } },
      { key: "b", source: topic.subscription, content: "{}", attributes: { tenant: "Zoë" } },
    ]);
  });

  test("delivers a CloudEvent that was published in a Pub/Sub message", async () => {
    const { messages, pipeline: recorded } = recording();
    const all = arrival(messages, 1);
    listening = await pubsubPush(recorded.use(all.stage)).listen({ port: 0 });
    await topic.subscribe({ pushEndpoint: listening.url });
    const event = createMessage({
      id: "e-1",
      key: "order-1",
      source: "event1",
      type: "order.created",
      content: '{"total":1.10}',
      attributes: { datacontenttype: "application/json" },
    });
    const { body = "" } = encode(event, { mode: "structured" });

    await topic.publish({ data: base64(body), attributes: { "Content-Type": "application/cloudevents+json; charset=utf-8" } });
    await all.arrived;

    expect(messages[0]).toEqual(event);
  });

  test("delivers again what has failed, until it is done", async () => {
    const { messages, pipeline: recorded } = recording();
    const done = Promise.withResolvers<void>();
    const orders = recorded.use(async () => {
      if (messages.length < 3) throw new Error("no connection");
      done.resolve();
    });
    listening = await pubsubPush(orders).listen({ port: 0 });
    await topic.subscribe({ pushEndpoint: listening.url });

    await topic.publish({ data: base64("{}") });
    await done.promise;

    expect(new Set(messages.map(identityOf)).size).toBe(1);
  });
});

interface Topic {
  /** Its whole name. */
  readonly name: string;
  /** Short name of its subscription. */
  readonly subscription: string;
  subscribe(pushConfig: object): Promise<void>;
  publish(message: object): Promise<void>;
  /** Removes its subscription too. */
  remove(): Promise<void>;
}

async function createTopic(): Promise<Topic> {
  const id = `t-${randomUUID()}`;
  const name = `projects/test/topics/${id}`;
  const subscription = `${id}-push`;
  await call("PUT", name, {});
  return {
    name,
    subscription,
    subscribe: (pushConfig) =>
      call("PUT", `projects/test/subscriptions/${subscription}`, { topic: name, enableMessageOrdering: true, pushConfig }),
    publish: (message) => call("POST", `${name}:publish`, { messages: [message] }),
    async remove() {
      await fetch(`${services.pubsub.url}/v1/projects/test/subscriptions/${subscription}`, { method: "DELETE" });
      await call("DELETE", name);
    },
  };
}

async function call(method: string, path: string, body?: object): Promise<void> {
  const response = await fetch(`${services.pubsub.url}/v1/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}

/** A stage that knows when so many different messages have come. */
function arrival(
  messages: readonly Parameters<typeof identityOf>[0][],
  count: number,
): { readonly stage: () => Promise<void>; readonly arrived: Promise<void> } {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  return {
    arrived,
    stage: async () => {
      if (distinct(messages).length === count) resolve();
    },
  };
}

/** Without the repeats that a broker may make. */
function distinct<M extends Parameters<typeof identityOf>[0]>(messages: readonly M[]): readonly M[] {
  return [...new Map(messages.map((message) => [identityOf(message), message])).values()];
}
