import { invalidOption, toBase64 } from "event-driver";

const allowed = "an absolute http or https URL";

/** Where a sender sends to. */
export interface SinkUrl {
  /** Without user info, which `fetch` refuses, and without the fragment, which is not sent. */
  readonly href: string;
  /** As errors show it: without user info and query, for both may be secrets. */
  readonly shown: string;
  /** What the user info says, as an `Authorization` header. */
  readonly authorization: string | undefined;
}

/**
 * Reads the address of a sink.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, which never shows the address: it may hold a password
 */
export function sinkUrl(factory: string, option: string, given: string | URL): SinkUrl {
  const text = String(given);
  const url = URL.parse(text);
  if (url === null) throw invalidOption(factory, option, "text that is no absolute URL", allowed);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw invalidOption(factory, option, `${url.protocol}...`, allowed);
  const credentials = credentialsOf(url);
  if (credentials === null) throw invalidOption(factory, option, "a URL whose user info is not percent-encoded UTF-8", allowed);
  url.username = "";
  url.password = "";
  url.hash = "";
  return { href: url.href, shown: `${url.origin}${url.pathname}`, authorization: credentials };
}

/** `undefined` where there are none, `null` where they cannot be read. */
function credentialsOf({ username, password }: URL): string | undefined | null {
  if (username === "" && password === "") return undefined;
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${toBase64(new TextEncoder().encode(pair))}`;
  } catch {
    return null;
  }
}
