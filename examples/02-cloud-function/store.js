// @ts-check
import { memoryEventStore } from "event-driver";

/**
 * The store at an address such as `gcs:BUCKET/FOLDER`; without one the memory of this process, for a try on your own machine.
 *
 * @param {string | undefined} address
 * @returns {Promise<import("event-driver").EventStore>}
 */
export async function openStore(address) {
  if (!address) {
    if (process.env["K_SERVICE"]) throw new Error("STORE is not set: what one instance remembers, the others would not know");
    return memoryEventStore();
  }
  const { gcsEventStoreFromUrl } = await import("@event-driver/google-cloud/storage");
  const store = gcsEventStoreFromUrl(address);
  await store.check();
  return store;
}
