import type { JsonMember, JsonScan } from "event-driver";

const malformed = -1;
const tooDeep = -2;

const quotationMark = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const lowerU = 0x75;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** What may follow a backslash, besides `u` and its four digits. */
const escapable: ReadonlySet<number> = new Set(Array.from('"\\/bfnrt', (character) => character.charCodeAt(0)));

/** The literals by their first byte. */
const literals: ReadonlyMap<number, Uint8Array> = new Map(
  ["true", "false", "null"].map((literal) => [literal.charCodeAt(0), new TextEncoder().encode(literal)]),
);

/**
 * `scanJson` of the core for an object in ASCII, read from its bytes: that takes half of the time, for to ask a string for a character means
 * to ask first how the string is kept.
 *
 * @param text the same as `bytes`, character by character; what is returned is cut out of it
 * @param maxDepth how many objects and arrays may stand inside one another, from 1 to 1,000
 * @returns the kind `malformed` also for what is JSON and no object
 */
export function scanJsonObject(text: string, bytes: Uint8Array, maxDepth: number): JsonScan {
  const members: JsonMember[] = [];
  const start = nextToken(bytes, 0);
  const end = bytes[start] === openBrace ? endOfObject(bytes, start, maxDepth - 1, text, members) : malformed;
  if (end === tooDeep) return { kind: "too deep" };
  return end !== malformed && nextToken(bytes, end) === bytes.length ? { kind: "object", members } : { kind: "malformed" };
}

/** The index behind the value that begins at `at`, or `malformed` or `tooDeep`. So do all the `endOf...` below. */
function endOfValue(bytes: Uint8Array, at: number, depth: number): number {
  const byte = bytes[at] ?? 0;
  if (byte === quotationMark) return endOfString(bytes, at);
  if (byte === openBrace) return depth === 0 ? tooDeep : endOfObject(bytes, at, depth - 1);
  if (byte === openBracket) return depth === 0 ? tooDeep : endOfArray(bytes, at, depth - 1);
  const literal = byte > 0x60 ? literals.get(byte) : undefined;
  return literal === undefined ? endOfNumber(bytes, at) : endOfLiteral(bytes, at, literal);
}

function endOfObject(bytes: Uint8Array, start: number, depth: number, text = "", members?: JsonMember[]): number {
  let at = nextToken(bytes, start + 1);
  if (bytes[at] === closeBrace) return at + 1;
  for (;;) {
    if (bytes[at] !== quotationMark) return malformed;
    const nameEnd = endOfString(bytes, at);
    if (nameEnd < 0) return nameEnd;
    const separator = nextToken(bytes, nameEnd);
    if (bytes[separator] !== colon) return malformed;
    const valueStart = nextToken(bytes, separator + 1);
    const valueEnd = endOfValue(bytes, valueStart, depth);
    if (valueEnd < 0) return valueEnd;
    members?.push({ name: textOfString(text.slice(at, nameEnd)), value: text.slice(valueStart, valueEnd) });
    at = nextToken(bytes, valueEnd);
    if (bytes[at] === closeBrace) return at + 1;
    if (bytes[at] !== comma) return malformed;
    at = nextToken(bytes, at + 1);
  }
}

function endOfArray(bytes: Uint8Array, start: number, depth: number): number {
  let at = nextToken(bytes, start + 1);
  if (bytes[at] === closeBracket) return at + 1;
  for (;;) {
    const valueEnd = endOfValue(bytes, at, depth);
    if (valueEnd < 0) return valueEnd;
    at = nextToken(bytes, valueEnd);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return malformed;
    at = nextToken(bytes, at + 1);
  }
}

function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  for (;;) {
    const byte = bytes[at] ?? 0;
    if (byte === quotationMark) return at + 1;
    if (byte < 0x20) return malformed;
    at = byte === backslash ? endOfEscape(bytes, at + 1) : at + 1;
    if (at < 0) return malformed;
  }
}

function endOfEscape(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] ?? 0;
  if (byte !== lowerU) return escapable.has(byte) ? at + 1 : malformed;
  for (let digit = at + 1; digit <= at + 4; digit += 1) if (!isHexDigit(bytes[digit] ?? 0)) return malformed;
  return at + 5;
}

function endOfLiteral(bytes: Uint8Array, at: number, literal: Uint8Array): number {
  return literal.every((byte, index) => bytes[at + index] === byte) ? at + literal.length : malformed;
}

function endOfNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === minus ? start + 1 : start;
  const whole = endOfDigits(bytes, at);
  if (whole === at || (bytes[at] === zero && whole > at + 1)) return malformed;
  at = whole;
  if (bytes[at] === point) {
    const fraction = endOfDigits(bytes, at + 1);
    if (fraction === at + 1) return malformed;
    at = fraction;
  }
  // An e, small or capital.
  if (((bytes[at] ?? 0) | 0x20) !== 0x65) return at;
  const sign = bytes[at + 1];
  const digits = sign === 0x2b || sign === minus ? at + 2 : at + 1;
  const end = endOfDigits(bytes, digits);
  return end === digits ? malformed : end;
}

function endOfDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(bytes[at] ?? 0)) at += 1;
  return at;
}

/** Where the next token begins: mostly here. So short that the compiler puts it in the place of its call, which saves a third of the whole. */
function nextToken(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) > 0x20 ? at : skipSpace(bytes, at);
}

function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start;
  // Space, line feed, carriage return and tab are all that RFC 8259 allows.
  for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[at]) at += 1;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

/** The characters that a JSON string, quotation marks included, stands for. */
function textOfString(json: string): string {
  return json.includes("\\") ? String(JSON.parse(json)) : json.slice(1, -1);
}
