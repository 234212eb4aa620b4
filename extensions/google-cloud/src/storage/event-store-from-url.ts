import { EventDriverError, invalidOption } from "event-driver";

import { type GcsEventStore, gcsEventStore, type GcsEventStoreOptions } from "./gcs-event-store.ts";

/** What a URL says of a store. */
export type GcsUrlOptions = Pick<
  GcsEventStoreOptions,
  | "bucket"
  | "folder"
  | "apiEndpoint"
  | "projectId"
  | "layout"
  | "readPolicy"
  | "compressor"
  | "maxContentBytes"
  | "timeout"
  | "parallelReads"
>;

/** What no URL can say, and the program gives beside it. */
export type GcsOtherOptions = Omit<GcsEventStoreOptions, keyof GcsUrlOptions>;

/**
 * An event store in a bucket of Google Cloud Storage, at `gcs:BUCKET/FOLDER?OPTION=VALUE&...`.
 *
 * Use it where a variable of the environment says where events are kept. The folder may be left out; an option is one of `apiEndpoint`,
 * `projectId`, `layout`, `readPolicy`, `compressor`, `maxContentBytes`, `timeout` and `parallelReads`, with the values of
 * {@link GcsEventStoreOptions}. Characters with a meaning in URLs are percent-encoded.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, which names the part that is wrong
 * @example const store = gcsEventStoreFromUrl("gcs:my-orders/production?compressor=gzip", { logger });
 */
export function gcsEventStoreFromUrl(url: string, others: GcsOtherOptions = {}): GcsEventStore {
  return gcsEventStore({ ...others, ...gcsUrlOptions(url) });
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function gcsUrlOptions(url: string): GcsUrlOptions {
  const [address = "", query] = split(url);
  const [, bucket, folder] = /^gcs:([^/]+)(?:\/(.*))?$/s.exec(address) ?? [];
  // Shown without what follows: an endpoint may hold a password.
  if (bucket === undefined) throw invalid("url", address, '"gcs:BUCKET" or "gcs:BUCKET/FOLDER", and behind it "?OPTION=VALUE&..."');
  const options: GcsUrlOptions = { bucket: decoded("bucket", bucket), ...(folder && { folder: decoded("folder", folder) }) };
  const given = new Set<string>();
  return [...new URLSearchParams(query)].reduce((sum, [name, value]) => {
    const read = readers.get(name);
    if (read === undefined) throw invalid("option", name, `one of ${[...readers.keys()].join(", ")}`);
    if (given.has(name) || value === "") throw refused(name, value === "" ? "is empty" : "is given twice");
    given.add(name);
    return { ...sum, ...read(value) };
  }, options);
}

/** How the value of each option is read. What is only text is checked where the store is made. */
const readers: ReadonlyMap<string, ReadOption> = new Map<string, ReadOption>([
  ["apiEndpoint", (apiEndpoint) => ({ apiEndpoint })],
  ["projectId", (projectId) => ({ projectId })],
  ["layout", (value) => ({ layout: oneOf("layout", value, "entries", "go") })],
  ["readPolicy", (value) => ({ readPolicy: oneOf("readPolicy", value, "firstCreated", "lastCreated") })],
  ["compressor", (value) => ({ compressor: oneOf("compressor", value, "none", "gzip", "brotli", "zstd") })],
  ["maxContentBytes", (value) => ({ maxContentBytes: wholeNumber("maxContentBytes", value) })],
  ["timeout", (value) => ({ timeout: wholeNumber("timeout", value) })],
  ["parallelReads", (value) => ({ parallelReads: wholeNumber("parallelReads", value) })],
]);

type ReadOption = (value: string) => Partial<GcsUrlOptions>;

/** At the first question mark. */
function split(url: string): readonly string[] {
  const at = url.indexOf("?");
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(part, text, "percent-encoded UTF-8; a percent sign is %25");
  }
}

function oneOf<const Allowed extends string>(option: string, value: string, ...allowed: readonly Allowed[]): Allowed {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw invalid(option, value, allowed.join(", "));
  return found;
}

function wholeNumber(option: string, value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw invalid(option, value, "a whole number");
  return Number(value);
}

function refused(option: string, why: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_OPTION", {
    message: `gcsEventStoreFromUrl: ${option} ${why}; say once what it is, or leave it out`,
    retryable: false,
  });
}

function invalid(option: string, given: string, allowed: string): EventDriverError {
  return invalidOption("gcsEventStoreFromUrl", option, given, allowed);
}
