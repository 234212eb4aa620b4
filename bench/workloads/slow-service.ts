import type { GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import type { SeenRequest, SlowProxy } from "../children/slow-proxy.ts";

import { newBucket, storageOn } from "../../extensions/google-cloud/test/storage/emulated-bucket.ts";
import { startChild } from "../harness/child.ts";

/** Google's client, of the version that the store is tested with. */
export type Storage = NonNullable<GcsEventStoreOptions["storage"]>;

export type Bucket = ReturnType<Storage["bucket"]>;

/** An emulated Cloud Storage, and a proxy before it that holds up every request as a network would. */
export interface SlowService {
  /** The client of whoever is measured: its requests go through the proxy. */
  readonly storage: Storage;
  /** The same without the proxy, for what is prepared and cleared away. */
  readonly direct: Storage;
  /** An empty bucket for as long as `work` takes: the emulator looks through all objects of one to list some. */
  withBucket<Result>(work: (name: string) => Promise<Result>): Promise<Result>;
  /** What came by at the proxy since this was asked last. */
  requests(): Promise<readonly SeenRequest[]>;
  close(): void;
}

/** Resolves to a reason where the emulator does not run. */
export async function slowService(): Promise<SlowService | string> {
  const proxy = startChild(new URL("../children/slow-proxy.ts", import.meta.url));
  const { url, upstream, isUp }: SlowProxy = JSON.parse(await proxy.hear());
  if (!isUp) {
    proxy.end();
    return `skipped: no answer from Cloud Storage at ${upstream}; start it with scripts/services start gcs`;
  }
  const direct = clientOn(upstream);
  return {
    storage: clientOn(url),
    direct,
    async withBucket(work) {
      const name = await newBucket();
      try {
        return await work(name);
      } finally {
        await direct.bucket(name).deleteFiles({ force: true });
        await direct.bucket(name).delete();
      }
    },
    requests: async () => JSON.parse(await proxy.ask("requests?")),
    close: () => proxy.end(),
  };
}

/** The tests' client, with pauses as it has them by itself: its own methods refuse shorter ones. */
function clientOn(apiEndpoint: string): Storage {
  const storage = storageOn({ apiEndpoint });
  storage.retryOptions.maxRetryDelay = 64;
  return storage;
}
