import type { RunCase } from "../harness/result.ts";
import type { BrokerName } from "../workloads/streams/brokers.ts";

/** A case as it is listed; its file is loaded only by the process that runs it. */
export interface ListedCase {
  readonly title: string;
  readonly load: () => Promise<RunCase>;
}

const brokers: readonly BrokerName[] = ["nats", "kafka", "rabbitmq", "pulsar", "mqtt"];

/** The cases that every broker has. */
const streamCases = brokers.flatMap((broker): [string, ListedCase][] => [
  [
    `streams-publish-${broker}`,
    { title: `publishing 1 KiB to ${broker}, confirmed`, load: async () => (await import("./streams.ts")).publishing(broker) },
  ],
  [
    `streams-consume-${broker}`,
    { title: `consuming 1 KiB from ${broker}, acknowledged`, load: async () => (await import("./streams.ts")).consuming(broker) },
  ],
  [
    `streams-latency-${broker}`,
    { title: `latency on ${broker} at 250 messages a second`, load: async () => (await import("./streams-latency.ts")).latency(broker) },
  ],
]);

/** Every case, by the name that `--case` takes. */
export const cases: ReadonlyMap<string, ListedCase> = new Map([
  ["stages", { title: "five pass-through stages, a message", load: async () => (await import("./stages.ts")).stages }],
  [
    "idempotency",
    { title: "idempotency on a memory store, a message", load: async () => (await import("./idempotency.ts")).idempotencyOnMemory },
  ],
  ["tutorial", { title: "the whole tutorial on a memory store, a message", load: async () => (await import("./tutorial.ts")).tutorial }],
  [
    "sqlite-in-flight",
    { title: "the whole tutorial on SQLite, FULL, 64 orders in flight", load: async () => (await import("./sqlite.ts")).inFlight },
  ],
  [
    "sqlite-single",
    { title: "the whole tutorial on SQLite, FULL, one message at a time", load: async () => (await import("./sqlite.ts")).oneAtATime },
  ],
  ["gcs", { title: "the whole tutorial on Cloud Storage, CPU time of an order", load: async () => (await import("./gcs.ts")).order }],
  [
    "gcs-in-flight",
    { title: "the whole tutorial on Cloud Storage, 64 orders in flight", load: async () => (await import("./gcs.ts")).inFlight },
  ],
  ["gcs-look-up", { title: "the 50 entries of one key on Cloud Storage", load: async () => (await import("./gcs.ts")).lookUp }],
  ["receiver", { title: "server CPU for a request of 1 KiB", load: async () => (await import("./receiver.ts")).receiverRequests }],
  [
    "heap",
    { title: "heap over messages through the tutorial with windows that expire", load: async () => (await import("./heap.ts")).heap },
  ],
  ["import", { title: "importing event-driver", load: async () => (await import("./import-time.ts")).importTime }],
  ["bundle", { title: "size of a bundle for the browser or an edge runtime", load: async () => (await import("./bundle.ts")).bundle }],
  ...streamCases,
  [
    "streams-workers-nats",
    { title: "a group of processes on nats", load: async () => (await import("./streams-workers.ts")).workers("nats") },
  ],
  [
    "streams-workers-kafka",
    { title: "a group of processes on kafka", load: async () => (await import("./streams-workers.ts")).workers("kafka") },
  ],
  [
    "streams-keys-memory",
    { title: "100 ms of work in order by key, on a virtual clock", load: async () => (await import("./streams-keys.ts")).keysInMemory },
  ],
  [
    "streams-keys-nats",
    { title: "100 ms of work in order by key, on nats", load: async () => (await import("./streams-keys.ts")).keysOnNats },
  ],
  [
    "streams-heap-memory",
    { title: "heap over messages of 1 KiB through a broker in memory", load: async () => (await import("./streams-heap.ts")).heapInMemory },
  ],
  [
    "streams-heap-nats",
    { title: "heap over messages of 1 KiB through nats", load: async () => (await import("./streams-heap.ts")).heapOnNats },
  ],
]);
