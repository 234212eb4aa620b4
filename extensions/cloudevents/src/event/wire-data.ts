import { isJsonType, isTextType, parseMediaType } from "../http/media-type.ts";
import { utf8 } from "../http/utf8.ts";

/**
 * Data of its type: bytes are text where the type is one of text and they are UTF-8, so that the same event has the same content in every
 * content mode. Data of no stated type is text where it can be.
 */
export function textWhereText(data: string | Uint8Array, contentType: string | undefined): string | Uint8Array {
  if (typeof data === "string") return data;
  if (contentType !== undefined && !isTextType(parseMediaType(contentType))) return data;
  return utf8(data) ?? data;
}

/** Whether data of this type is JSON; a type that is not stated is (JSON event format, section 3.1.2). */
export function saysJson(contentType: string | undefined): boolean {
  return contentType === undefined || isJsonType(parseMediaType(contentType));
}
