import { encode } from "@event-driver/cloudevents";
import { createMessage, type Message } from "event-driver";

/** One order with its three events, and what has to come of them. */
export interface SampleOrder {
  readonly key: string;
  readonly events: readonly [Message, Message, Message];
  /** The only data under which the sink may ever see it. */
  readonly composed: string;
  /** When the last of its events happened. */
  readonly time: string;
}

/** So many orders, whose data holds what a JSON parser would change: long numbers, trailing zeros, a key that comes twice. */
export function sampleOrders(count: number): readonly SampleOrder[] {
  return Array.from({ length: count }, (_, index) => sampleOrder(`order-${index + 1}`));
}

export function sampleOrder(key: string): SampleOrder {
  const customer = `{"customer":"${key}","account":12345678901234567890,"rate":1.10}`;
  const items = '{"items":[{"sku":"a","price":1e400}],"total":10.00,"total":20.00}';
  return {
    key,
    events: [
      event(key, "event1", '{"note":"erased before it is joined"}', "2026-01-01T00:00:00.000000001Z"),
      event(key, "event2", customer, "2026-01-01T00:00:00.000000003Z"),
      event(key, "event3", items, "2026-01-01T00:00:00.000000002Z"),
    ],
    composed: `{"event1":"","event2":${customer},"event3":${items}}`,
    time: "2026-01-01T00:00:00.000000003Z",
  };
}

/** A request with one event, as `fetch` takes it. */
export function requestOf(message: Message): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const { headers, body } = encode(message, { mode: "structured" });
  return { headers, body: String(body) };
}

function event(key: string, source: string, content: string, time: string): Message {
  return createMessage({
    id: `${key}-${source}`,
    key,
    source,
    origin: `urn:example:shop#${source}`,
    type: `shop.${source}`,
    time,
    content,
    attributes: { datacontenttype: "application/json" },
  });
}
