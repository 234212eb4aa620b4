import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { EventDriverError, quote } from "event-driver";

/** What an object's name says in the Go layout. */
export interface GoName {
  readonly key: string;
  readonly source: string;
  /** What stands behind the source: where the rule was kept, the digest of what is stored. */
  readonly file: string;
}

/** Bytes that the service allows for a name. */
const longestName = 1_024;

/**
 * The names of objects as the Go original gives them: `[FOLDER/]KEY/SOURCE/DIGEST`, where nothing is encoded.
 *
 * So a key or a source with a slash in it could be another's. The Go original takes them all the same; here they are refused.
 */
export class GoNames {
  /** What the names of all objects begin with. */
  readonly root: string;

  constructor(folder: string) {
    this.root = folder === "" ? "" : `${folder}/`;
  }

  /**
   * What the names of a key's objects begin with.
   *
   * @throws EventDriverError `ERR_INVALID_MESSAGE`
   */
  ofKey(key: string): string {
    return this.#require(`${this.root}${requirePart("key", key)}/`, key);
  }

  /**
   * What the names of the objects of a key and source begin with.
   *
   * @throws EventDriverError `ERR_INVALID_MESSAGE`
   */
  ofSource(key: string, source: string): string {
    return this.#require(`${this.ofKey(key)}${requirePart("source", source)}/`, key);
  }

  /**
   * The name of an object that holds these bytes: behind the prefix the padded URL-safe base64 of their SHA-256.
   *
   * @throws EventDriverError `ERR_INVALID_MESSAGE`
   */
  object(key: string, source: string, stored: Uint8Array): string {
    const digest = createHash("sha256").update(stored).digest("base64url");
    return this.#require(`${this.ofSource(key, source)}${digest}=`, key);
  }

  /** Where the names behind those of a key begin. */
  behindKey(key: string): string {
    return `${this.ofKey(key).slice(0, -1)}0`;
  }

  /** `undefined` for a name that belongs to no key and source. */
  parse(name: string): GoName | undefined {
    const [key, source, ...file] = name.slice(this.root.length).split("/");
    if (!name.startsWith(this.root) || !key || !source || file.length === 0) return undefined;
    return { key, source, file: file.join("/") };
  }

  /** The last part of a prefix that was listed; `undefined` for one that is no key or source. */
  lastPart(prefix: string): string | undefined {
    return prefix.slice(this.root.length).split("/").at(-2) || undefined;
  }

  #require(name: string, key: string): string {
    if (Buffer.byteLength(name) <= longestName) return name;
    throw refused("key", key, `makes an object's name of more than ${longestName} bytes, with its source`, "shorten one of them");
  }
}

/** Without the slashes at its ends, as the Go original writes it. */
function requirePart(part: "key" | "source", text: string): string {
  const trimmed = text.replace(/^\/+/, "").replace(/\/+$/, "");
  if (trimmed === "") throw refused(part, text, "is empty", "give the message one");
  if (trimmed.includes("/"))
    throw refused(part, text, "has a slash in it, which ends a part of an object's name", "write it in another way");
  if (!trimmed.isWellFormed() || /[\r\n]/.test(trimmed)) {
    throw refused(part, text, "has characters that no object's name can have", "write it in another way");
  }
  return trimmed;
}

function refused(part: "key" | "source", text: string, why: string, remedy: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `gcsEventStore: in the layout "go", ${part} ${quote(text)} ${why}; ${remedy}, in a transformer in front for example`,
    retryable: false,
  });
}
