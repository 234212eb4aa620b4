import type { EventStore } from "event-driver";

import { eventStoreKit } from "event-driver/testing";
import { beforeEach, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket, storageOn } from "./emulated-bucket.ts";
import { strictService, trustingStorageOn } from "./strict-service.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");
const opened = new WeakMap<object, GcsEventStoreOptions>();

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
      onTestFinished(() => service.close());
      return openOn({ bucket: await newBucket(), storage: trustingStorageOn(service.url), compressor: "gzip" });
    },
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
