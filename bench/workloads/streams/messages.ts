import { createMessage, type Message } from "event-driver";
import { randomUUID } from "node:crypto";

/** The type of all of them, and of their content. */
export const eventType = "order.placed";
export const contentType = "application/json";

/** How many keys they have. */
const keys = 64;

/** JSON of 1 KiB. */
const content = contentOf(1_024 - contentOf(0).length);

/** So many messages that no broker has seen yet. */
export function newMessages(count: number, keyCount: number = keys): readonly Message[] {
  const run = randomUUID();
  const time = new Date().toISOString();
  return Array.from({ length: count }, (_, index) =>
    createMessage({
      id: `${run}-${index}`,
      key: `order-${index % keyCount}`,
      source: "shop",
      type: eventType,
      time,
      content,
      attributes: { datacontenttype: contentType },
    }),
  );
}

/** A stream that nobody has used yet. */
export function newStream(): string {
  return `bench-${randomUUID()}`;
}

/** A name that nobody has read a stream under yet. */
export function newPosition(): string {
  return `reader-${randomUUID()}`;
}

function contentOf(padding: number): string {
  return JSON.stringify({ customer: "c-20417", note: "x".repeat(padding) });
}
