import { type Clock, invalidOption } from "event-driver";

import type { SenderOptions, SenderRetry } from "./sender-options.ts";

import { isAttributeName, isAttributeText } from "../event/attribute-rules.ts";
import { type ContentPlacement, requireMode } from "../http/http-encode.ts";
import { type KeyOptions, keyOrder } from "../event/key.ts";
import { type SinkUrl, sinkUrl } from "./sink-url.ts";

/** @internal The options with every default in its place. */
export interface SenderSettings {
  readonly url: SinkUrl;
  readonly mode: ContentPlacement;
  readonly keys: KeyOptions;
  readonly timeout: number;
  readonly retry: RetrySettings;
  readonly headers: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, string>>;
  readonly replyBytes: number;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock | undefined;
  readonly random: () => number;
}

/** The event has its own, and `fetch` sets the rest or refuses them. */
const reservedHeader = /^(?:ce-.*|content-type|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer)$/i;

interface RetrySettings {
  readonly maxAttempts: number;
  readonly baseDelay: number;
  readonly maxDelay: number;
}

/** What an override may not change: it would be another event, or its data another kind of data. */
const contextAttributes: ReadonlySet<string> = new Set("id source type specversion time subject dataschema datacontenttype".split(" "));

/** @internal @throws EventDriverError `ERR_INVALID_OPTION` */
export function senderSettings(options: SenderOptions): SenderSettings {
  const { mode = "binary", keyFrom, timeout = 10_000, replyBytes = 1_048_576, clock, random = Math.random } = options;
  requireMode("sender", mode);
  keyOrder("sender", { keyFrom });
  if (!(timeout > 0)) throw invalidOption("sender", "timeout", timeout, "milliseconds above 0");
  if (!Number.isSafeInteger(replyBytes) || replyBytes < 0) throw invalidOption("sender", "replyBytes", replyBytes, "a whole number from 0");
  const url = sinkUrl("sender", "url", options.url);

  return {
    url,
    mode,
    keys: { keyFrom },
    timeout,
    retry: retrySettings(options.retry),
    headers: headerSettings(options.headers ?? {}, url.authorization),
    extensions: extensionSettings("sender", "overrides", options.overrides?.extensions ?? {}),
    replyBytes,
    // Looked up with every request, so that a fetch that is instrumented later is the one used.
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    clock,
    random,
  };
}

/**
 * @internal Extensions to set on every event.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function extensionSettings(factory: string, option: string, given: object): Readonly<Record<string, string>> {
  const extensions: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(given)) {
    if (!isAttributeName(name) || contextAttributes.has(name)) {
      throw invalidOption(factory, `a name in ${option}.extensions`, name, "extension names of lower-case letters and digits");
    }
    if (typeof value !== "string" || !isAttributeText(value)) {
      throw invalidOption(factory, `${option}.extensions.${name}`, typeof value, "text without control characters");
    }
    extensions[name] = value;
  }
  return extensions;
}

function retrySettings(given: SenderRetry | undefined): RetrySettings {
  const { maxAttempts = given === undefined ? 1 : 3, baseDelay = 100, maxDelay = 10_000 } = given ?? {};
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1)
    throw invalidOption("sender", "retry.maxAttempts", maxAttempts, "a whole number from 1");
  if (!(baseDelay >= 0)) throw invalidOption("sender", "retry.baseDelay", baseDelay, "milliseconds from 0");
  if (!(maxDelay >= baseDelay)) throw invalidOption("sender", "retry.maxDelay", maxDelay, `milliseconds from baseDelay (${baseDelay})`);
  return { maxAttempts, baseDelay, maxDelay };
}

/** Never shows a value: it may be a secret. */
function headerSettings(given: Readonly<Record<string, string>>, authorization: string | undefined): Readonly<Record<string, string>> {
  const headers = new Headers();
  if (authorization !== undefined) headers.set("authorization", authorization);
  for (const [name, value] of Object.entries(given)) {
    if (reservedHeader.test(name)) {
      throw invalidOption("sender", "a name in headers", name, "headers that say nothing about the event or the connection");
    }
    if (!isHeader(name, value)) throw invalidOption("sender", "headers", name, "names and values that HTTP allows");
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}

function isHeader(name: string, value: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t\x20-\x7e]*$/.test(value);
}
