import { Storage } from "@google-cloud/storage";
import { beforeEach, expect, test, vi } from "vitest";
import { gcsEventStoreFromUrl } from "@event-driver/google-cloud/storage";

import { type GcsUrlOptions, gcsUrlOptions } from "../../src/storage/event-store-from-url.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

test.each<[url: string, options: GcsUrlOptions]>([
  ["gcs:orders", { bucket: "orders" }],
  ["gcs:orders/", { bucket: "orders" }],
  ["gcs:orders?", { bucket: "orders" }],
  ["gcs:orders/a/b", { bucket: "orders", folder: "a/b" }],
  ["gcs:orders/a%3Fb%25", { bucket: "orders", folder: "a?b%" }],
  ["gcs:orders/a?apiEndpoint=http://127.0.0.1:4443", { bucket: "orders", folder: "a", apiEndpoint: "http://127.0.0.1:4443" }],
  ["gcs:orders?apiEndpoint=http%3A%2F%2Fh%2F%3Fa%26b", { bucket: "orders", apiEndpoint: "http://h/?a&b" }],
  ["gcs:orders?layout=go&readPolicy=lastCreated", { bucket: "orders", layout: "go", readPolicy: "lastCreated" }],
  [
    "gcs:orders?projectId=p&compressor=zstd&maxContentBytes=1000&timeout=2000&parallelReads=4",
    { bucket: "orders", projectId: "p", compressor: "zstd", maxContentBytes: 1_000, timeout: 2_000, parallelReads: 4 },
  ],
])("%s says where and how events are kept", (url, options) => {
  expect(gcsUrlOptions(url)).toEqual(options);
});

test.each([
  ["gcs:", 'gcsEventStoreFromUrl: url is "gcs:", allowed is "gcs:BUCKET" or "gcs:BUCKET/FOLDER"'],
  ["gcs://orders/a", 'url is "gcs://orders/a", allowed is "gcs:BUCKET"'],
  ["gs:orders", 'url is "gs:orders", allowed is "gcs:BUCKET"'],
  ["gcs:?compressor=gzip", 'url is "gcs:", allowed is "gcs:BUCKET"'],
  ["gcs:orders/100%", 'folder is "100%", allowed is percent-encoded UTF-8'],
  ["gcs:orders/a/../b", 'gcsEventStore: folder is "a/../b", allowed is'],
  ["gcs:orders?compresor=gzip", 'option is "compresor", allowed is one of apiEndpoint, projectId, layout'],
  ["gcs:orders?compressor=lz4", 'compressor is "lz4", allowed is none, gzip, brotli, zstd'],
  ["gcs:orders?layout=rows", 'layout is "rows", allowed is entries, go'],
  ["gcs:orders?readPolicy=any", 'readPolicy is "any", allowed is firstCreated, lastCreated'],
  ["gcs:orders?timeout=30s", 'timeout is "30s", allowed is a whole number'],
  ["gcs:orders?timeout=0", "gcsEventStore: timeout for list is 0, allowed is"],
  ["gcs:orders?timeout=1&timeout=2", "timeout is given twice"],
  ["gcs:orders?apiEndpoint=", "apiEndpoint is empty"],
  ["gcs:orders?apiEndpoint=127.0.0.1:4443", 'gcsEventStore: apiEndpoint is "127.0.0.1:4443", allowed is an http or https URL'],
])("%s is refused, and what is wrong with it is named", (url, reason) => {
  expect(() => gcsEventStoreFromUrl(url)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false, message: expect.stringContaining(reason) }),
  );
});

test("a URL that is refused is shown without its query, which may hold a password", () => {
  expect(() => gcsEventStoreFromUrl("gs:orders?apiEndpoint=https://me:secret@host")).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("secret") }),
  );
});

test("what no URL can say is given beside it", async () => {
  const storage = new Storage({ projectId: "test", apiEndpoint: "http://127.0.0.1:1", retryOptions: { autoRetry: false } });
  const store = gcsEventStoreFromUrl("gcs:orders/a", { storage });

  expect(store.features).toEqual({ compareAndSet: true, clock: true });
  await expect(store.check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
});
