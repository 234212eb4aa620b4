/** The body of a wrapped delivery, as Pub/Sub writes it. */
export function wrapped(message: Readonly<Record<string, unknown>> = {}, envelope: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    message: {
      data: base64('{"total":12}'),
      messageId: "7521",
      message_id: "7521",
      publishTime: "2026-11-21T10:00:01.4Z",
      publish_time: "2026-11-21T10:00:01.4Z",
      ...message,
    },
    subscription: "projects/shop/subscriptions/orders-push",
    ...envelope,
  });
}

export function base64(text: string | Uint8Array): string {
  return Buffer.from(text).toString("base64");
}

/** A wrapped delivery. */
export function push(body: string, headers: Readonly<Record<string, string>> = {}): Request {
  return new Request("http://push.test/", { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
}

/** An unwrapped delivery, with its metadata. */
export function unwrapped(body: string | Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}): Request {
  return new Request("http://push.test/", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-goog-pubsub-subscription-name": "projects/shop/subscriptions/orders-push",
      "x-goog-pubsub-message-id": "7521",
      "x-goog-pubsub-publish-time": "2026-11-21T10:00:01.4Z",
      ...headers,
    },
    body,
  });
}
