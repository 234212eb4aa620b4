import type { EventRecord, HeaderValue, WrittenRecord } from "@event-driver/cloudevents/bindings";

/** Where the records of these tests come from. */
export const place = { stream: "orders", partition: "0", position: "7" };

/** The headers of a record by name. */
export function headersOf({ headers }: WrittenRecord): Record<string, string> {
  return Object.fromEntries(headers);
}

/** A record with these headers, and a body of text. */
export function record(
  headers: Readonly<Record<string, HeaderValue>>,
  body: string | Uint8Array | null = "",
  rest: Pick<EventRecord, "contentType" | "key"> = {},
): EventRecord {
  return { headers: Object.entries(headers), body: typeof body === "string" ? new TextEncoder().encode(body) : body, ...rest };
}

/** A record as Kafka gives it: everything is bytes. */
export function inBytes({ headers, key, body }: WrittenRecord): EventRecord {
  return { headers: headers.map(([name, value]) => [name, Buffer.from(value)]), key: Buffer.from(key), body: Buffer.from(body) };
}
