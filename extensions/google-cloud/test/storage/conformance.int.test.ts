import { eventStoreKit } from "event-driver/testing";
import { beforeEach, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore } from "@event-driver/google-cloud/storage";

import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket, storageOn } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");
const buckets = new WeakMap<object, string>();

suite("a store in a bucket", () => {
  eventStoreKit({
    test,
    open: async () => openOn(await newBucket()),
    openAnother: (first) => openOn(buckets.get(first) ?? ""),
    removeExpired: (store) => applyLifecycleRule(buckets.get(store) ?? ""),
    features: { compareAndSet: true, clock: true },
    patience: 10_000,
  });
});

function openOn(bucket: string): GcsEventStore {
  const store = gcsEventStore({ bucket, apiEndpoint: services.gcs.url, folder: "kit" });
  buckets.set(store, bucket);
  return store;
}

/** What the rule of the documentation does, which the emulator knows nothing of. */
async function applyLifecycleRule(bucket: string): Promise<void> {
  const [files] = await storageOn().bucket(bucket).getFiles();
  const expired = files.filter(({ metadata }) => metadata.customTime !== undefined && Date.parse(metadata.customTime) <= Date.now());
  await Promise.all(expired.map((file) => file.delete()));
}
