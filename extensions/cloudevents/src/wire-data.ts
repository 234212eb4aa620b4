import { isTextType, parseMediaType } from "./media-type.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Bytes as data of their type: text where the type is one of text and the bytes are UTF-8, so that the same event has the same content in
 * every content mode; else the bytes as they are. Data of no stated type is text where it can be.
 */
export function dataOf(bytes: Uint8Array, contentType: string | undefined): string | Uint8Array {
  if (contentType !== undefined && !isTextType(parseMediaType(contentType))) return bytes;
  return utf8(bytes) ?? bytes;
}

/** The text of UTF-8 bytes, a byte order mark included, or `undefined` where they are none. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
