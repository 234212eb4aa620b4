import type { EventStore } from "event-driver";

import { natsKvEventStore } from "@event-driver/nats/kv";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { eventStoreKit } from "event-driver/testing";
import { randomUUID } from "node:crypto";
import { onTestFinished, test, vi } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { decodeEntry } from "../src/kv/values.ts";

const suite = await suiteWith("nats");
const buckets = new Map<EventStore, string>();

suite("an event store in NATS KV", () => {
  eventStoreKit({
    test,
    open: () => opened(randomUUID()),
    openAnother: (first) => opened(buckets.get(first) ?? ""),
    features: { compareAndSet: true, clock: false },
    removeExpired: (store) => vi.waitUntil(async () => !(await hasExpired(buckets.get(store) ?? "")), { timeout: 15_000, interval: 100 }),
    patience: 10_000,
  });
});

async function opened(bucket: string): Promise<EventStore> {
  const store = await natsKvEventStore({ url: services.nats.url, bucket, grace: 0 });
  buckets.set(store, bucket);
  return store;
}

/** Whether there is an entry that may be removed. */
async function hasExpired(bucket: string): Promise<boolean> {
  const client = await connect({ servers: services.nats.url });
  onTestFinished(() => client.close());
  const { streams } = await jetstreamManager(client);
  const { state } = await streams.info(`KV_${bucket}`);
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    const message = await streams.getMessage(`KV_${bucket}`, { seq }).catch(() => null);
    const { expiresAt = Infinity } = message === null ? {} : decodeEntry(message.subject, message.data);
    if (expiresAt <= Date.now()) return true;
  }
  return false;
}
