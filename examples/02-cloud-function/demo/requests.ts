/** A request that the function gets. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const data: Readonly<Record<string, string>> = {
  event1: '{"note":"erased before it is joined"}',
  event2: '{"customer":"ann"}',
  event3: '{"total":12345678901234567890.10}',
};

/** An event of an order in binary mode, as Eventarc sends events. */
export function binary(order: string, name: string, content: string = data[name] ?? "{}"): Delivery {
  const { id, source, type } = attributesOf(order, name);
  return {
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": id,
      "ce-source": source,
      "ce-type": type,
      "ce-key": order,
    },
    body: content,
  };
}

/** The same in structured mode. */
export function structured(order: string, name: string): Delivery {
  return { headers: { "content-type": "application/cloudevents+json" }, body: eventText(order, name) };
}

/** Events in one request. */
export function batch(...events: readonly (readonly [order: string, name: string])[]): Delivery {
  const texts = events.map(([order, name]) => eventText(order, name));
  return { headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${texts.join(",")}]` };
}

/** An event of an order that was published to a topic, as a Pub/Sub trigger delivers it. */
export function published(order: string, name: string): Delivery {
  const { id, source, type } = attributesOf(order, name);
  const message = {
    messageId: `m-${id}`,
    data: Buffer.from(data[name] ?? "{}").toString("base64"),
    attributes: { "ce-specversion": "1.0", "ce-id": id, "ce-source": source, "ce-type": type, "content-type": "application/json" },
    publishTime: "2026-11-21T10:00:00Z",
    orderingKey: order,
  };
  return {
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": `m-${id}`,
      "ce-source": "//pubsub.googleapis.com/projects/shop/topics/orders",
      "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    },
    body: JSON.stringify({ message, subscription: "projects/shop/subscriptions/eventarc-orders" }),
  };
}

/** What Cloud Scheduler is set to send. */
export const sweep: Delivery = {
  headers: { "ce-specversion": "1.0", "ce-id": "sweep", "ce-source": "scheduler", "ce-type": "orders.sweep" },
  body: "",
};

function attributesOf(order: string, name: string): { readonly id: string; readonly source: string; readonly type: string } {
  return { id: `${order}-${name}`, source: `urn:example:shop#${name}`, type: `shop.${name}` };
}

function eventText(order: string, name: string): string {
  const attributes = { specversion: "1.0", ...attributesOf(order, name), key: order, datacontenttype: "application/json" };
  return `${JSON.stringify(attributes).slice(0, -1)},"data":${data[name]}}`;
}
