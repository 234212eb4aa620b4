import type { Message } from "event-driver";

import { setTimeout as pause } from "node:timers/promises";

import type { Delivery } from "../../examples/01-orders/demo/events.ts";
import type { Cluster } from "./cluster.ts";
import type { Timeline } from "./timeline.ts";

/** What a sender is told; `undefined` where the connection broke and it is told nothing. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
}

/** What the senders know at the end. */
export interface Told {
  /** The events, by id, that were answered with 2xx. */
  readonly accepted: ReadonlySet<string>;
  /** When a sender was first told that an order is done, on the timeline of the test. */
  readonly doneAt: ReadonlyMap<string, number>;
}

export interface SendersOptions {
  readonly cluster: Cluster;
  readonly timeline: Timeline;
  /** How many deliveries are under way at the same time. */
  readonly parallel: number;
  /** Whether a delivery is repeated until it is accepted. Otherwise each is made once, whatever comes of it. */
  readonly patient: boolean;
  /** In [0, 1). */
  readonly random: () => number;
  /** Awaited in front of every request. */
  readonly onRequest: () => Promise<void>;
}

/** Milliseconds that a sender waits at most, however long it is asked to. */
const longestPause = 500;

/** Sends all deliveries, each request to any of the processes that run. */
export async function sendAll(deliveries: readonly Delivery[], options: SendersOptions): Promise<Told> {
  const { cluster, timeline, parallel, patient, random, onRequest } = options;
  const accepted = new Set<string>();
  const doneAt = new Map<string, number>();
  const waiting = deliveries.values();

  const attempt = async (delivery: Delivery): Promise<Answer | undefined> => {
    await onRequest();
    const replica = cluster.running[Math.floor(random() * cluster.running.length)];
    const answer = replica && (await post(replica.url, delivery));
    if (answer?.status === 204) for (const { key } of delivery.events) if (!doneAt.has(key)) doneAt.set(key, timeline.next());
    return answer;
  };

  const deliver = async (delivery: Delivery): Promise<void> => {
    for (;;) {
      const answer = await attempt(delivery);
      if (answer !== undefined && isAccepted(answer)) return delivery.events.forEach((event: Message) => accepted.add(event.id));
      if (!patient) return;
      await pause(Math.min(longestPause, 20 + 1_000 * Number(answer?.headers.get("retry-after") ?? 0)));
    }
  };

  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (const delivery of waiting) await deliver(delivery);
    }),
  );
  return { accepted, doneAt };
}

/** Sends one request. A connection that is refused or breaks tells a sender nothing. */
export async function post(url: string, { headers, body }: Pick<Delivery, "headers" | "body">): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { method: "POST", headers, ...(body !== undefined && { body }) });
    await response.arrayBuffer();
    return response;
  } catch {
    return undefined;
  }
}

/** The status that a health check is answered with. */
export async function healthOf(url: string): Promise<number> {
  const response = await fetch(`${url}/healthz`);
  await response.arrayBuffer();
  return response.status;
}

function isAccepted({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}
