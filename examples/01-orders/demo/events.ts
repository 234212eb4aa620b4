import { encode } from "@event-driver/cloudevents";
import { createMessage, type Message } from "event-driver";

/** One HTTP request with one event, or a batch of them. */
export interface Delivery {
  readonly mode: "binary" | "structured" | "batch";
  readonly events: readonly Message[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

/** The three events of each of so many orders, as three services would send them. */
export function orderEvents(orders: number): readonly Message[] {
  return Array.from({ length: orders }, (_, index) => `order-${index + 1}`).flatMap((key, index) => [
    event(key, "event1", { note: "erased before it is joined" }),
    event(key, "event2", { customer: `customer-${index % 7}`, express: index % 3 === 0 }),
    event(key, "event3", { items: [{ sku: `sku-${index % 11}`, quantity: 1 + (index % 4) }], total: 10 + index }),
  ]);
}

/** Every event once in its turn and every third one twice, in all three content modes, shuffled. */
export function shuffledDeliveries(events: readonly Message[], random: () => number): readonly Delivery[] {
  const repeated = shuffle([...events, ...events.filter((_, index) => index % 3 === 0)], random);
  const deliveries: Delivery[] = [];
  while (repeated.length > 0) {
    const mode = (["binary", "structured", "batch"] as const)[Math.floor(random() * 3)] ?? "batch";
    deliveries.push(delivery(mode, repeated.splice(0, mode === "batch" ? 1 + Math.floor(random() * 5) : 1)));
  }
  return deliveries;
}

function event(key: string, name: string, data: object): Message {
  return createMessage({
    id: `${key}-${name}`,
    key,
    source: name,
    origin: `urn:example:shop#${name}`,
    type: `shop.${name}`,
    time: new Date().toISOString(),
    content: JSON.stringify(data),
    attributes: { datacontenttype: "application/json" },
  });
}

function delivery(mode: Delivery["mode"], events: readonly Message[]): Delivery {
  const [first] = events;
  if (mode !== "batch" && first !== undefined) {
    const { headers, body } = encode(first, { mode });
    return { mode, events, headers, body: typeof body === "string" ? body : body && new Uint8Array(body) };
  }
  const bodies = events.map((each) => encode(each, { mode: "structured" }).body);
  return { mode, events, headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${bodies.join(",")}]` };
}

function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((left, right) => left.at - right.at)
    .map(({ item }) => item);
}
