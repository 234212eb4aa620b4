import { decodeName, encodeName } from "../names.ts";

/** Subjects fit a line of 4 KiB, whatever else stands in it. */
const longestScope = 300;
const longestKey = 500;
const longestSource = 300;

/** What can be read from a subject. */
export interface EntryName {
  /** `undefined` where it is too long for a subject: then a header of the entry has it. */
  readonly key: string | undefined;
  readonly source: string | undefined;
  /** As it is written, whatever its length: equal for equal keys only. */
  readonly keyToken: string;
  readonly sourceToken: string;
}

/** The subjects of one scope's entries: `$KV.BUCKET.SCOPE.KEY.SOURCE`. In a tool for buckets a key is what stands behind the bucket. */
export class Subjects {
  /** What matches all entries. */
  readonly all: string;
  readonly #prefix: string;

  constructor(bucket: string, scope: readonly string[]) {
    this.#prefix = `$KV.${bucket}.${scopeToken(scope)}.`;
    this.all = `${this.#prefix}*.*`;
  }

  entry(key: string, source: string): string {
    return `${this.#prefix}${keyToken(key)}.${sourceToken(source)}`;
  }

  /** What matches the entries of a key, and no others. */
  ofKey(key: string): string {
    return `${this.#prefix}${keyToken(key)}.*`;
  }

  parse(subject: string): EntryName {
    const [keyPart = "", sourcePart = ""] = subject.slice(this.#prefix.length).split(".");
    return { key: decodeName(keyPart), source: decodeName(sourcePart), keyToken: keyPart, sourceToken: sourcePart };
  }
}

export function keyToken(key: string): string {
  return encodeName(key, longestKey);
}

export function sourceToken(source: string): string {
  return encodeName(source, longestSource);
}

/** Names of scopes are joined by what no encoded name holds; the outermost is one that no name is encoded to. */
function scopeToken(path: readonly string[]): string {
  if (path.length === 0) return "=root";
  const joined = path.map((name) => encodeName(name, longestScope)).join("/");
  return joined.length <= longestScope ? joined : encodeName(JSON.stringify(path), longestScope);
}
