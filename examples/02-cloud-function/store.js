// @ts-check
import { memoryEventStore } from "event-driver";

/**
 * The store at an address: `gcs:BUCKET`, `gcs:BUCKET/FOLDER` or, for an emulator, `gcs:BUCKET/FOLDER?apiEndpoint=URL`. Without one the memory of
 * this process, for a try on your own machine.
 *
 * @param {string | undefined} address
 * @returns {Promise<import("event-driver").EventStore>}
 */
export async function openStore(address) {
  if (!address) {
    if (process.env["K_SERVICE"]) throw new Error("STORE is not set: what one instance remembers, the others would not know");
    return memoryEventStore();
  }
  const [, bucket, folder, apiEndpoint] = /^gcs:([^/?]+)(?:\/([^?]+))?(?:\?apiEndpoint=(.+))?$/.exec(address) ?? [];
  if (bucket === undefined) throw new Error(`STORE is "${address}", allowed is "gcs:BUCKET/FOLDER"`);
  const { gcsEventStore } = await import("@event-driver/google-cloud/storage");
  const store = gcsEventStore({ bucket, ...(folder && { folder }), ...(apiEndpoint && { apiEndpoint }) });
  await store.check();
  return store;
}
