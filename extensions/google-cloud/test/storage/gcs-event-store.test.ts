import { Storage } from "@google-cloud/storage";
import { beforeEach, expect, test, vi } from "vitest";
import { gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const apiEndpoint = "http://127.0.0.1:1";
const own = new Storage({ projectId: "test", apiEndpoint });

test.each<[string, GcsEventStoreOptions]>([
  ["bucket", { bucket: "" }],
  ["storage", { bucket: "b", storage: JSON.parse("{}") }],
  ["apiEndpoint", { bucket: "b", apiEndpoint: "127.0.0.1:4443" }],
  ["apiEndpoint", { bucket: "b", storage: own, apiEndpoint }],
  ["projectId", { bucket: "b", storage: own, projectId: "p" }],
  ["retry", { bucket: "b", storage: own, retry: { autoRetry: false } }],
  ["folder", { bucket: "b", apiEndpoint, folder: "a/../b" }],
  ["folder", { bucket: "b", apiEndpoint, folder: "a\nb" }],
  ["folder", { bucket: "b", apiEndpoint, folder: "\uD800" }],
  ["folder", { bucket: "b", apiEndpoint, folder: "€".repeat(43) }],
  ["compressor", { bucket: "b", apiEndpoint, compressor: JSON.parse('"lz4"') }],
  ["maxContentBytes", { bucket: "b", apiEndpoint, maxContentBytes: 0 }],
  ["timeout for list", { bucket: "b", apiEndpoint, timeout: 0 }],
  ["timeout for write", { bucket: "b", apiEndpoint, timeout: { write: Infinity } }],
  ["parallelReads", { bucket: "b", apiEndpoint, parallelReads: 1.5 }],
])("a bad option is refused, with what is allowed: %s", (option, options) => {
  expect(() => gcsEventStore(options)).toThrow(
    expect.objectContaining({
      code: "ERR_INVALID_OPTION",
      message: expect.stringMatching(new RegExp(`^gcsEventStore: ${option} is .+, allowed is`)),
    }),
  );
});

test("a time that is no number, and a limit that is no whole number, are refused", async () => {
  const store = gcsEventStore({ bucket: "b", apiEndpoint });
  const message = { id: "1", key: "k", source: "s", content: "", attributes: {} };

  await expect(store.persist(message, { dueAt: Number.NaN })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  await expect(store.persist(message, { expiresAt: Number.NaN })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  await expect(store.listDue({ before: 1, limit: 0 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  await expect(store.listKeys({ limit: 1.5 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
});

test("a service that cannot be reached is a failure that passes", async () => {
  const store = gcsEventStore({ bucket: "b", apiEndpoint, retry: { autoRetry: false } });

  await expect(store.check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  await expect(store.lookUp("k", "s")).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
});

test("a closed store is not checked", async () => {
  const store = gcsEventStore({ bucket: "b", apiEndpoint });
  await store.close();

  await expect(store.check()).rejects.toMatchObject({ code: "ERR_STORE_CLOSED", retryable: true });
});
