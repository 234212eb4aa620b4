import { createMessage, type Message } from "event-driver";

const sources = ["event1", "event2", "event3"] as const;

/** The orders in which three events of one order can arrive, as places in `sources`; all of them occur equally often. */
const arrivals = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

let ordersMade = 0;

/** What an event holds, by its source. */
export type Contents = (key: string, source: (typeof sources)[number]) => object;

/** The three events of each of so many new orders, in the order of their arrival. No key is used twice within a process. */
export function newOrders(count: number, contents: Contents = longContents): readonly (readonly Message[])[] {
  return Array.from({ length: count }, () => {
    ordersMade += 1;
    const key = `order-${ordersMade}`;
    const arrival = arrivals[ordersMade % arrivals.length] ?? arrivals[0];
    return arrival.map((place) => event(key, sources[place], contents));
  });
}

/** As short as the example sends them, about 50 bytes of JSON. */
export const shortContents: Contents = (_key, source) => {
  if (source === "event1") return { note: "erased before it is joined" };
  return source === "event2" ? { customer: "customer-3", express: true } : { items: [{ sku: "sku-7", quantity: 2 }], total: 17 };
};

/** About 400 bytes of JSON, as CloudEvents often carry them. */
function longContents(key: string): object {
  return {
    order: key,
    customer: { id: "c-20417", name: "Ada Lovelace", address: ["12 St James's Square", "London SW1Y 4JH"] },
    lines: [
      { article: "a-1001", quantity: 2, price: 12.5, currency: "EUR" },
      { article: "a-2002", quantity: 1, price: 99.95, currency: "EUR" },
      { article: "a-3003", quantity: 12, price: 0.75, currency: "EUR" },
    ],
    total: 133.95,
    note: "leave it with the neighbour",
  };
}

function event(key: string, source: (typeof sources)[number], contents: Contents): Message {
  return createMessage({
    id: `${key}/${source}`,
    key,
    source,
    origin: `https://shop.example/${source}`,
    type: `order.${source}`,
    time: "2026-03-01T10:20:30.456Z",
    content: JSON.stringify(contents(key, source)),
    attributes: { datacontenttype: "application/json" },
  });
}
