import { utf8 } from "./utf8.ts";

const percent = 0x25;
const plain = /^[\x20\x21\x23\x24\x26-\x7e]*$/;
const escapeOrByte = /%[0-9a-fA-F]{2}|[\x80-\xff]/;

/** Whether a value stands for itself, and holds no character that attributes may not hold. */
export function isPlainHeaderValue(value: string): boolean {
  return plain.test(value);
}

/**
 * Reads the value of a `ce-` header: quoted parts are unescaped, then percent escapes are decoded once (HTTP binding, section 3.1.3.2).
 *
 * Bytes beyond ASCII are not allowed in headers; from senders that put UTF-8 there nevertheless they are read as that. A percent sign that
 * begins no escape stands for itself.
 *
 * @returns `undefined` where the value cannot be read: bytes that are no UTF-8, or a quotation that does not end
 */
export function decodeHeaderValue(value: string): string | undefined {
  if (isPlainHeaderValue(value)) return value;
  const unquoted = value.includes('"') ? unquote(value) : value;
  return unquoted === undefined || !escapeOrByte.test(unquoted) ? unquoted : decodeBytes(unquoted);
}

/** RFC 7230 section 3.2.6. Senders of older versions of the binding quote spaces instead of escaping them. */
function unquote(value: string): string | undefined {
  let text = "";
  let quoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const character = value[at];
    if (character === '"') quoted = !quoted;
    else if (character === "\\" && quoted) text += value[(at += 1)] ?? "";
    else text += character;
  }
  return quoted ? undefined : text;
}

function decodeBytes(value: string): string | undefined {
  const bytes = new Uint8Array(value.length);
  let length = 0;
  for (let at = 0; at < value.length; at += 1, length += 1) {
    const code = value.charCodeAt(at);
    if (code > 0xff) return undefined;
    const digits = value.slice(at + 1, at + 3);
    const escaped = code === percent && /^[0-9a-fA-F]{2}$/.test(digits);
    bytes[length] = escaped ? Number.parseInt(digits, 16) : code;
    if (escaped) at += 2;
  }
  return utf8(bytes.subarray(0, length));
}

/**
 * Writes the value of a `ce-` header (section 3.1.3.2): everything but printable ASCII is percent-encoded as UTF-8, and so are the space, the quotation mark
 * and the percent sign. The SDK writes such values as they are: a header with an umlaut, an emoji or a line break in it is then refused or read as something
 * else.
 */
export function encodeHeaderValue(value: string): string {
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code <= 0x20 || code > 0x7e || code === 0x22 || code === percent)
      return value.replace(/[^\x21\x23\x24\x26-\x7e]+/g, encodeURIComponent);
  }
  return value;
}
