import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** The service takes names of up to 1,024 bytes. These leave room for all parts of the longest one, an index object's. */
export const longestFolder = 128;
const longestScope = 200;
const longestKey = 300;
const longestSource = 250;

/** What can be read from an object's name. */
export interface EntryName {
  /** `undefined` where it is too long for a name: then the object's content has it. */
  readonly key: string | undefined;
  readonly source: string | undefined;
  /** As it is written in the name, whatever its length: equal for equal keys only. */
  readonly keySegment: string;
}

export interface DueName extends EntryName {
  readonly dueAt: number;
  /** That of the write which the deadline came with. */
  readonly token: string;
  /** Name of the object whose deadline it is. */
  readonly entry: string;
}

/**
 * The names of one scope's objects: `FOLDER/entries/SCOPE/KEY/SOURCE`, and for each deadline `FOLDER/due/SCOPE/HOUR/TIME/KEY/SOURCE/TOKEN`.
 *
 * What stands between two slashes is written as it is as far as it is letters, digits and `_ . : @ = + , ~ -`. Everything else is
 * percent-encoded, so no part can hold a slash, and none is `.` or `..`. Parts that are too long are replaced by their SHA-256.
 */
export class ObjectNames {
  /** What the names of all entries begin with. */
  readonly entries: string;
  /** What the names of all deadlines begin with. */
  readonly deadlines: string;

  constructor(folder: string, scope: readonly string[]) {
    const root = folder === "" ? "" : `${folder}/`;
    this.entries = `${root}entries/${encodeScope(scope)}/`;
    this.deadlines = `${root}due/${encodeScope(scope)}/`;
  }

  entry(key: string, source: string): string {
    return `${this.ofKey(key)}${encodeSource(source)}`;
  }

  /** What the names of a key's entries begin with, and no others. */
  ofKey(key: string): string {
    return `${this.entries}${encodeKey(key)}/`;
  }

  /** Where the names behind all entries of a key begin. */
  behindKey(key: string): string {
    return behind(this.ofKey(key));
  }

  due(dueAt: number, key: string, source: string, token: string): string {
    return `${this.#dueAt(dueAt)}${encodeKey(key)}/${encodeSource(source)}/${token}`;
  }

  /** Where the names behind the deadlines of one entry at this time begin. */
  behindDue(dueAt: number, key: string, source: string): string {
    return behind(`${this.#dueAt(dueAt)}${encodeKey(key)}/${encodeSource(source)}/`);
  }

  /** Where the names of later deadlines begin. */
  behindDueAt(dueAt: number): string {
    return behind(this.#dueAt(dueAt));
  }

  /** `undefined` for a name that is none of an entry of this scope. */
  parseEntry(name: string): EntryName | undefined {
    const [keySegment, sourceSegment, ...more] = name.slice(this.entries.length).split("/");
    if (!name.startsWith(this.entries) || keySegment === undefined || sourceSegment === undefined || more.length > 0) return undefined;
    return { key: decodeName(keySegment), source: decodeName(sourceSegment), keySegment };
  }

  /** `undefined` for a name that is none of a deadline of this scope. */
  parseDue(name: string): DueName | undefined {
    const [, time, keySegment, sourceSegment, token, ...more] = name.slice(this.deadlines.length).split("/");
    if (!name.startsWith(this.deadlines) || time === undefined || !/^[\da-f]{16}$/.test(time)) return undefined;
    if (keySegment === undefined || sourceSegment === undefined || token === undefined || more.length > 0) return undefined;
    return {
      dueAt: decodeTime(time),
      key: decodeName(keySegment),
      source: decodeName(sourceSegment),
      keySegment,
      token,
      entry: `${this.entries}${keySegment}/${sourceSegment}`,
    };
  }

  #dueAt(dueAt: number): string {
    return `${this.deadlines}${hourOf(dueAt)}/${encodeTime(dueAt)}/`;
  }
}

/** Whether a key or source is too long to be read from a name. */
export function isHashed(key: string, source: string): boolean {
  return encodeKey(key).startsWith(hashMark) || encodeSource(source).startsWith(hashMark);
}

// Neither is followed by two hexadecimal digits, so no text is encoded to one of them.
const hashMark = "%sha256-";
const emptyName = "%empty";
const rootScope = "%root";

function encodeKey(key: string): string {
  return shortened(encodeName(key), key, longestKey);
}

function encodeSource(source: string): string {
  return shortened(encodeName(source), source, longestSource);
}

/** Names of scopes are joined by what no encoded name holds. */
function encodeScope(path: readonly string[]): string {
  return path.length === 0 ? rootScope : shortened(path.map(encodeName).join("!"), JSON.stringify(path), longestScope);
}

function shortened(encoded: string, text: string, longest: number): string {
  if (encoded.length <= longest) return encoded;
  return `${hashMark}${createHash("sha256").update(Buffer.from(text, "utf16le")).digest("hex")}`;
}

function encodeName(text: string): string {
  if (text === "") return emptyName;
  if (text === "." || text === "..") return text.replaceAll(".", "%2E");
  return text.replaceAll(/[^\w.:@=+,~-]/gu, encodeCharacter);
}

/** Percent-encoded UTF-8; half a surrogate pair, which has none, as `%u` and its number. */
function encodeCharacter(character: string): string {
  if (!character.isWellFormed()) return `%u${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

/** `undefined` for one that was too long. */
function decodeName(segment: string): string | undefined {
  if (segment.startsWith(hashMark)) return undefined;
  if (segment === emptyName) return "";
  return segment.replaceAll(/%u([\dA-F]{4})|(?:%[\dA-F]{2})+/g, (encoded, half: string | undefined) =>
    half === undefined ? Buffer.from(encoded.replaceAll("%", ""), "hex").toString() : String.fromCharCode(Number.parseInt(half, 16)),
  );
}

/** The first text behind everything that begins with a prefix which ends in a slash. */
function behind(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

/** Readable, and in order: the hour in which it falls, those outside the years 1970 to 9999 with the nearest. */
function hourOf(time: number): string {
  return new Date(Math.min(Math.max(time, 0), 253_402_300_799_999)).toISOString().slice(0, 13);
}

const signBit = 1n << 63n;

/** A number as 16 hexadecimal digits that sort as the numbers do: its bits, with the sign turned round, and all of them for negative ones. */
function encodeTime(time: number): string {
  const view = new DataView(new ArrayBuffer(8));
  // Adding 0 makes one of the two zeros.
  view.setFloat64(0, time + 0);
  const bits = view.getBigUint64(0);
  const sortable = bits & signBit ? BigInt.asUintN(64, ~bits) : bits | signBit;
  return sortable.toString(16).padStart(16, "0");
}

function decodeTime(digits: string): number {
  const sortable = BigInt(`0x${digits}`);
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, sortable & signBit ? sortable ^ signBit : BigInt.asUintN(64, ~sortable));
  return view.getFloat64(0);
}
