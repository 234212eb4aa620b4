import { isJsonType, isTextType, parseMediaType } from "../http/media-type.ts";
import { utf8 } from "../http/utf8.ts";

/**
 * Data of its type: bytes are text where the type is one of text and they are UTF-8, so that the same event has the same content in every
 * content mode. Data of no stated type is text where it can be.
 */
export function textWhereText(data: string | Uint8Array, contentType: string | undefined): string | Uint8Array {
  if (typeof data === "string" || !saysText(contentType)) return data;
  return utf8(data) ?? data;
}

/** Whether UTF-8 of this type is read as text. Nearly all data is of the one type that is not taken apart. */
export function saysText(contentType: string | undefined): boolean {
  return contentType === undefined || contentType === "application/json" || isTextType(parseMediaType(contentType));
}

/** Whether data of this type is JSON; a type that is not stated is (JSON event format, section 3.1.2). */
export function saysJson(contentType: string | undefined): boolean {
  return contentType === undefined || isJsonType(parseMediaType(contentType));
}
