import { createMessage, type Message, pipeline, type Pipeline } from "event-driver";

/** Attributes that make an event complete, key included. */
export const attributes: Readonly<Record<string, string>> = {
  specversion: "1.0",
  id: "e-1",
  source: "/shop#event1",
  type: "order.created",
  key: "order-1",
};

const address = "http://receiver.test/";

/** A POST of one event in binary mode; `undefined` removes an attribute. */
export function binary(
  changes: Readonly<Record<string, string | undefined>> = {},
  body: string | Uint8Array<ArrayBuffer> | ReadableStream = '{"total":12}',
): Request {
  const headers = new Headers({ "content-type": "application/json" });
  for (const [name, value] of Object.entries({ ...attributes, ...changes })) {
    if (value !== undefined) headers.set(`ce-${name}`, value);
  }
  return new Request(address, { method: "POST", headers, body, duplex: "half" });
}

/** The JSON text of an event; `data` is JSON text and stands in it as it is. */
export function eventText(changes: Readonly<Record<string, unknown>> = {}, data = '{"total":12}'): string {
  return `${JSON.stringify({ ...attributes, ...changes }).slice(0, -1)},"data":${data}}`;
}

/** A POST of a text, by default as one event in structured mode. */
export function structured(text: string = eventText(), contentType = "application/cloudevents+json"): Request {
  return new Request(address, { method: "POST", headers: { "content-type": contentType }, body: text });
}

/** A POST of several events, each given as its JSON text. */
export function batch(...texts: readonly string[]): Request {
  return structured(`[${texts.join(",")}]`, "application/cloudevents-batch+json");
}

/** A request without an event. */
export function plain(method: string, path = "/", headers: Readonly<Record<string, string>> = {}): Request {
  return new Request(new URL(path, address), { method, headers });
}

/** A pipeline that keeps every message it is given. */
export function recording(): { readonly messages: Message[]; readonly pipeline: Pipeline } {
  const messages: Message[] = [];
  return {
    messages,
    pipeline: pipeline().use(async (ctx, message, next) => {
      messages.push(message);
      await next(ctx, message);
    }),
  };
}

/** A pipeline that fails with what it is given. */
export function failing(error: unknown): Pipeline {
  return pipeline().use(() => Promise.reject(error));
}

/** A reply as a handler would give it. */
export function reply(id: string): Message {
  return createMessage({
    id,
    key: "order-1",
    source: "/billing",
    type: "order.charged",
    content: '{"charged":1.10}',
    attributes: { datacontenttype: "application/json" },
  });
}
