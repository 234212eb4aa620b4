import { scanJson, toBase64 } from "event-driver";

import type { WireEvent } from "../event/wire-event.ts";

import { saysJson, textWhereText } from "../event/wire-data.ts";

/** How deep data may be nested to be written as JSON; receivers have their limits too, and deeper data is not lost in base64. */
const maxDepth = 63;

/**
 * One event in the JSON event format 1.0.2, as text.
 *
 * JSON data stands in it as it was written, when it is proven to be JSON (section 3.1.1); it is never parsed and written anew. White space
 * around it is no part of it. Text of another type is a JSON string, and everything else `data_base64`.
 */
export function structuredJson({ attributes, data }: WireEvent): string {
  const members = Object.entries(attributes).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (data !== undefined) members.push(dataMember(data, attributes["datacontenttype"]));
  return `{${members.join(",")}}`;
}

/** Whether a text is proven to be JSON, whatever its value. */
export function isJson(text: string): boolean {
  const { kind } = scanJson(text, maxDepth);
  return kind !== "malformed" && kind !== "too deep";
}

function dataMember(given: string | Uint8Array, contentType: string | undefined): string {
  const data = textWhereText(given, contentType);
  if (typeof data !== "string") return `"data_base64":"${toBase64(data)}"`;
  if (!saysJson(contentType)) return `"data":${JSON.stringify(data)}`;
  if (!isJson(data)) return `"data_base64":"${toBase64(new TextEncoder().encode(data))}"`;
  return `"data":${escapeLoneSurrogates(data)}`;
}

/** In JSON they can only stand inside a string, where an escape says the same and UTF-8 can carry it. */
function escapeLoneSurrogates(json: string): string {
  return json.isWellFormed() ? json : json.replace(/\p{Cs}/gu, (surrogate) => `\\u${surrogate.charCodeAt(0).toString(16)}`);
}
