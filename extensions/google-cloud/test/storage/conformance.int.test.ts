import type { EventStore } from "event-driver";

import { eventStoreKit, virtualClock } from "event-driver/testing";
import { beforeEach, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import { faultProxy } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket, storageOn } from "./emulated-bucket.ts";
import { strictService, trustingStorageOn } from "./strict-service.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");
const opened = new WeakMap<object, GcsEventStoreOptions>();
/** Makes the writes of a store wait, until what it gives is called. */
const holds = new WeakMap<object, () => () => Promise<void>>();

suite("a store in a bucket", () => {
  eventStoreKit({
    test,
    open: async () => openOn({ bucket: await newBucket(), apiEndpoint: services.gcs.url, folder: "kit" }),
    openAnother: again,
    removeExpired: (store) => applyLifecycleRule(opened.get(store)),
    features: { compareAndSet: true, clock: true },
    patience: 10_000,
  });
});

suite("a store in a bucket of a service that removes conditionally, as the real one", () => {
  eventStoreKit({
    test,
    async open() {
      const service = await strictService();
      const clock = virtualClock();
      const proxy = await faultProxy({ upstream: service.url, clock });
      onTestFinished(async () => {
        await proxy.close();
        await service.close();
      });
      const store = openOn({ bucket: await newBucket(), storage: trustingStorageOn(proxy.url), compressor: "gzip" });
      holds.set(store, () => {
        const held = proxy.answer({ when: ({ method }) => method === "POST", delay: 1 });
        return async () => {
          held.withdraw();
          await clock.advance(1);
        };
      });
      return store;
    },
    holdUp: (store) => holds.get(store)?.() ?? (() => undefined),
    openAnother: again,
    removeExpired: (store) => applyLifecycleRule(opened.get(store)),
    features: { compareAndSet: true, clock: true },
    patience: 10_000,
  });
});

function openOn(options: GcsEventStoreOptions): GcsEventStore {
  const store = gcsEventStore(options);
  opened.set(store, options);
  return store;
}

function again(first: EventStore): GcsEventStore {
  return openOn(opened.get(first) ?? { bucket: "none" });
}

/** What the rule of the documentation does, which the emulator knows nothing of. */
async function applyLifecycleRule({ bucket }: GcsEventStoreOptions = { bucket: "none" }): Promise<void> {
  const [files] = await storageOn().bucket(bucket).getFiles();
  const expired = files.filter(({ metadata }) => metadata.customTime !== undefined && Date.parse(metadata.customTime) <= Date.now());
  await Promise.all(expired.map((file) => file.delete()));
}
