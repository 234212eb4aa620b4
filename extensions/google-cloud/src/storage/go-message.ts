import type { Message, PersistOptions } from "event-driver";

import { Buffer } from "node:buffer";
import { isUint8Array } from "node:util/types";
import { EventDriverError, isEventDriverError, quote } from "event-driver";

import type { Compressors } from "./compressor.ts";
import type { GoName } from "./go-names.ts";

/** What an object in the Go layout says of a message: nothing but the content has to be there. */
export interface GoEntry {
  readonly message: Message;
  readonly expiresAt?: number;
}

/** Under this name in an object's metadata stands what the Go original does not keep. It reads and writes the same objects without. */
const partsMark = "event-driver";

/** Bytes of metadata that an object may have, less some for what the bucket adds. */
const longestParts = 7_500;

/** What the metadata says of a message. */
interface Parts extends Pick<Message, "id"> {
  readonly version: 1;
  readonly origin?: string | undefined;
  readonly type?: string | undefined;
  readonly time?: string | undefined;
  /** Whether the content is bytes, even where they are text too. */
  readonly bytes?: true | undefined;
  /** As text, for JSON has no infinite numbers. */
  readonly expiresAt?: string | undefined;
}

/**
 * The bytes that are stored for a message's content: compressed, but for none at all.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`, `ERR_TOO_LARGE`
 */
export async function encodeContent({ id, content }: Message, compressors: Compressors): Promise<Uint8Array> {
  if (typeof content !== "string" && !isUint8Array(content)) throw invalidContent(id, "is neither text nor bytes");
  if (typeof content === "string" && !content.isWellFormed()) throw invalidContent(id, "has half a surrogate pair, which UTF-8 cannot say");
  // A copy: the bytes are still the caller's.
  const bytes = Buffer.from(content);
  return bytes.length === 0 ? bytes : compressors.compress(bytes);
}

/**
 * The metadata that goes with it, so that what this library wrote comes back as the event that it was.
 *
 * @throws EventDriverError `ERR_TOO_LARGE`
 */
export function describeMessage(message: Message, { expiresAt }: Pick<PersistOptions, "expiresAt">): Readonly<Record<string, string>> {
  const { id, origin, type, time, content } = message;
  const bytes = typeof content === "string" ? undefined : true;
  const parts: Parts = { version: 1, id, origin, type, time, bytes, expiresAt: expiresAt === undefined ? undefined : String(expiresAt) };
  const text = JSON.stringify(parts);
  if (Buffer.byteLength(text) <= longestParts) return { [partsMark]: text };
  throw new EventDriverError("ERR_TOO_LARGE", {
    message: `gcsEventStore: id, origin, type and time of message ${quote(id)} are longer than ${longestParts} bytes; shorten them`,
    retryable: false,
  });
}

/**
 * A message of what is stored. One that the Go original wrote has an id made of the object's name: the same as long as key, source and content are.
 *
 * @throws EventDriverError `ERR_STORE_CORRUPT`, `ERR_TOO_LARGE`
 */
export async function decodeMessage(
  { key, source, file }: GoName,
  stored: Uint8Array,
  metadata: Readonly<Record<string, string>>,
  compressors: Compressors,
): Promise<GoEntry> {
  const parts = partsOf(metadata);
  const { id = `${key}/${source}/${file}`, origin, type, time, bytes, expiresAt } = parts ?? {};
  const content = stored.length === 0 ? stored : await decompressed(`${key}/${source}/${file}`, stored, compressors);
  return {
    message: {
      id,
      key,
      source,
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { type }),
      ...(time !== undefined && { time }),
      content: bytes === undefined ? textOf(content) : new Uint8Array(content),
      attributes: Object.create(null),
    },
    ...(expiresAt !== undefined && { expiresAt: Number(expiresAt) }),
  };
}

/** `undefined` where there are none of this version. */
function partsOf(metadata: Readonly<Record<string, string>>): Parts | undefined {
  const text = metadata[partsMark];
  if (text === undefined) return undefined;
  try {
    const parts: Parts = JSON.parse(text);
    return parts.version === 1 ? parts : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes where they are no text: a string in Go may be either. */
function textOf(bytes: Uint8Array): string | Uint8Array {
  try {
    return utf8.decode(bytes);
  } catch {
    return new Uint8Array(bytes);
  }
}

async function decompressed(object: string, stored: Uint8Array, compressors: Compressors): Promise<Uint8Array> {
  try {
    return await compressors.decompress(compressors.name, stored);
  } catch (cause) {
    if (!isEventDriverError(cause) || cause.code !== "ERR_STORE_CORRUPT") throw cause;
    throw new EventDriverError("ERR_STORE_CORRUPT", {
      message: `gcsEventStore: object ${JSON.stringify(object)} was not written by compressor ${quote(compressors.name)}; give the one that the Go service has`,
      retryable: true,
      cause,
    });
  }
}

function invalidContent(id: string, why: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `gcsEventStore: the content of message ${quote(id)} ${why}; encode it before it is stored`,
    retryable: false,
  });
}
