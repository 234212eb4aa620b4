/** A Content-Type taken apart: both parts in lower case, the character set without quotation marks. */
export interface MediaType {
  readonly essence: string;
  readonly charset: string | undefined;
}

/** Reads a Content-Type as RFC 9110 section 8.3.1 writes it: any case, parameters with or without spaces around, values quoted or not. */
export function parseMediaType(text: string): MediaType {
  const semicolon = text.indexOf(";");
  if (semicolon === -1) return { essence: text.trim().toLowerCase(), charset: undefined };
  const charset = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i.exec(text.slice(semicolon));
  return { essence: text.slice(0, semicolon).trim().toLowerCase(), charset: (charset?.[1] ?? charset?.[2])?.toLowerCase() };
}

/** Whether data of this type is JSON: a subtype `json`, or one that ends with `+json` (JSON event format, section 3.1.1). */
export function isJsonType({ essence }: MediaType): boolean {
  return essence.endsWith("/json") || essence.endsWith("+json");
}

/** Whether text in this character set is UTF-8, as it is where none is named and where only ASCII is used. */
export function isUtf8Charset({ charset }: MediaType): boolean {
  return charset === undefined || charset === "utf-8" || charset === "utf8" || charset === "us-ascii";
}

/** Whether data of this type is read as text rather than kept as bytes. Forms are, for they are what curl says when it is told nothing. */
export function isTextType(type: MediaType): boolean {
  const { essence } = type;
  const textual =
    essence.startsWith("text/") ||
    isJsonType(type) ||
    essence.endsWith("/xml") ||
    essence.endsWith("+xml") ||
    essence.endsWith("/yaml") ||
    essence.endsWith("+yaml") ||
    essence === "application/x-www-form-urlencoded" ||
    essence === "application/x-ndjson";
  return textual && isUtf8Charset(type);
}

/** The type of text that leaves as UTF-8: one that still names the character set it once came in must not say otherwise. */
export function inUtf8(contentType: string): string {
  if (!contentType.includes(";") || isUtf8Charset(parseMediaType(contentType))) return contentType;
  return contentType.replace(/(;\s*charset\s*=\s*)(?:"[^"]*"|[^\s;]+)/i, "$1utf-8");
}
