/** One event as it goes over HTTP. */
export interface WireEvent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface KafkaRecord {
  readonly topic: string;
  readonly offset: number;
  readonly key?: string;
  readonly value: string;
}

/** What a KafkaSource called `orders` makes of a record. */
export function kafkaEvent({ topic, offset, key, value }: KafkaRecord): WireEvent {
  return {
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": `partition:0/offset:${offset}`,
      "ce-source": `/apis/v1/namespaces/shop/kafkasources/orders#${topic}`,
      "ce-type": "dev.knative.kafka.event",
      "ce-time": "2026-01-02T03:04:05.678Z",
      "ce-subject": `partition:0#${offset}`,
      ...(key !== undefined && { "ce-key": key, "ce-partitionkey": key }),
    },
    body: value,
  };
}

/** What a PingSource called `orders-sweep` sends. */
export function pingEvent(): WireEvent {
  return {
    headers: {
      "ce-specversion": "1.0",
      "ce-id": crypto.randomUUID(),
      "ce-source": "/apis/v1/namespaces/shop/pingsources/orders-sweep",
      "ce-type": "dev.knative.sources.ping",
    },
    body: "",
  };
}

/** The event as a trigger delivers it. */
export function byTrigger({ headers, body }: WireEvent): WireEvent {
  const added = { "ce-knativearrivaltime": "2026-01-02T03:04:05.700656431Z", prefer: "reply", "kn-namespace": "shop" };
  return { headers: { ...headers, ...added }, body };
}

/** The event as it goes to a dead letter sink, after this answer. */
export function asDeadLetter({ headers, body }: WireEvent, destination: string, status: number, answer: string): WireEvent {
  const failure = {
    "ce-knativeerrordest": destination,
    "ce-knativeerrorcode": String(status),
    "ce-knativeerrordata": Buffer.from(answer).toString("base64").slice(0, 1_024),
  };
  return { headers: { ...headers, ...failure }, body };
}

/** Posts an event, as everyone in Knative does. */
export async function deliver(url: string, { headers, body }: WireEvent): Promise<{ readonly status: number; readonly answer: string }> {
  const response = await fetch(url, { method: "POST", headers, body: new TextEncoder().encode(body) });
  return { status: response.status, answer: await response.text() };
}
