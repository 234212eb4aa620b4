import { toBase64 } from "event-driver";

import type { HeaderValue } from "./binding.ts";
import type { Protocol } from "./protocol.ts";

import { utf8 } from "../http/utf8.ts";

/** Whether all of it is printable ASCII, as nearly every attribute is. */
export function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

/**
 * The value as text, a value of another type in its canonical form (CloudEvents 1.0.2, "Type System"); `undefined` where it has none: bytes that are no UTF-8, a
 * number that is not whole, a time that is none.
 */
export function textOfHeader(value: Exclude<HeaderValue, null>, bytes: Protocol["bytes"]): string | undefined {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return bytes === "text" ? utf8(value) : toBase64(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  return typeof value === "number" && !Number.isInteger(value) ? undefined : String(value);
}

/** The same bytes as a plain Uint8Array: clients hand over their own classes of it. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  if (Object.getPrototypeOf(bytes) === Uint8Array.prototype) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
