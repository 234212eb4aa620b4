import { invalidEvent } from "../event/attribute-rules.ts";

/** What a message has and its CloudEvent cannot say. */
export interface Mark {
  /** Whether the content is text, or bytes, where its type alone would not tell. */
  readonly content: "text" | "bytes" | undefined;
  /** Parts and attributes as the message has them; `undefined` for what the CloudEvent has and the message has not. */
  readonly values: ReadonlyMap<string, string | undefined>;
}

/** The name of an attribute in a mark; parts have their own names, and an attribute may be called `key` or `origin` too. */
export const attributePrefix = "attribute.";

export const noMark: Mark = { content: undefined, values: new Map() };

/** The marks that nearly all messages have which have one. */
const contentOnly: ReadonlyMap<string, Mark> = new Map([
  ["text", { ...noMark, content: "text" }],
  ["bytes", { ...noMark, content: "bytes" }],
] as const);

/**
 * Reads a mark: `text` or `bytes`, `NAME=VALUE` with the value percent-encoded, `no-NAME`, with commas between them. What a later version may say besides is
 * passed over.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT` for percent encoding that is none
 */
export function readMark(text: string): Mark {
  const known = contentOnly.get(text);
  if (known !== undefined) return known;
  const values = new Map<string, string | undefined>();
  let content: Mark["content"];
  for (const entry of text.split(",")) {
    const end = entry.indexOf("=");
    if (end !== -1) values.set(entry.slice(0, end), decoded(entry.slice(end + 1)));
    else if (entry.startsWith("no-")) values.set(entry.slice(3), undefined);
    else if (entry === "text" || entry === "bytes") content = entry;
  }
  return { content, values };
}

/** The entry for a part, or an attribute with its prefix, that has this value, or that is not there. */
export function markEntry(name: string, value: string | undefined): string {
  return value === undefined ? `no-${name}` : `${name}=${encodeURIComponent(value)}`;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw invalidEvent("its event-driver header is not percent-encoded UTF-8", cause);
  }
}
