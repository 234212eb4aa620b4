import type { Message, PersistOptions, StoredMessage } from "event-driver";

import { Buffer } from "node:buffer";
import { isUint8Array } from "node:util/types";
import { EventDriverError, quote } from "event-driver";

import type { Compressors } from "./compressor.ts";

/** What an object says of the entry that it is, without its revision. */
export type Entry = Pick<StoredMessage, "message" | "dueAt" | "expiresAt">;

/** The content of an object that stands for nothing: its entry was removed, and the object is about to be. */
export const tombstone: Uint8Array = new Uint8Array();

/**
 * An entry as an object's content: one line of JSON with all but the content, and behind it the content, compressed.
 *
 * Nothing of it is custom metadata: that has room for 8 KiB only, and is not given with the content.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`, `ERR_TOO_LARGE`
 */
export async function encodeEntry(
  message: Message,
  times: Pick<PersistOptions, "dueAt" | "expiresAt">,
  compressors: Compressors,
): Promise<Uint8Array> {
  const { id, key, source, origin, type, time, attributes } = message;
  const { form, bytes } = bytesOf(message);
  const header: Header = {
    version: 1,
    key,
    source,
    id,
    origin,
    type,
    time,
    attributes,
    form,
    compressor: compressors.name,
    dueAt: times.dueAt === undefined ? undefined : String(times.dueAt),
    expiresAt: times.expiresAt === undefined ? undefined : String(times.expiresAt),
  };
  // Written before anything is waited for: the attributes and the bytes are still the caller's.
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  return Buffer.concat([line, await compressors.compress(bytes)]);
}

/** @throws EventDriverError `ERR_STORE_CORRUPT`, `ERR_STORE_FAILED`, `ERR_TOO_LARGE` */
export async function decodeEntry(name: string, bytes: Buffer, compressors: Compressors): Promise<Entry> {
  const { header, end } = headerOf(name, bytes);
  const content = await compressors.decompress(header.compressor, bytes.subarray(end + 1));
  const { id, key, source, origin, type, time, attributes, form, dueAt, expiresAt } = header;
  return {
    message: {
      id,
      key,
      source,
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { type }),
      ...(time !== undefined && { time }),
      content: contentOf(form, content),
      attributes: Object.assign(Object.create(null), attributes),
    },
    ...(dueAt !== undefined && { dueAt: Number(dueAt) }),
    ...(expiresAt !== undefined && { expiresAt: Number(expiresAt) }),
  };
}

/** How the content is kept: text as UTF-8, or as UTF-16 where it holds half a surrogate pair, and bytes as they are. */
type Form = "utf8" | "utf16" | "bytes";

interface Header extends Omit<Message<unknown>, "content" | "origin" | "type" | "time"> {
  readonly version: 1;
  readonly origin: string | undefined;
  readonly type: string | undefined;
  readonly time: string | undefined;
  readonly form: Form;
  readonly compressor: string;
  /** As text, for JSON has no infinite numbers. */
  readonly dueAt: string | undefined;
  readonly expiresAt: string | undefined;
}

function bytesOf({ id, content }: Message): { readonly form: Form; readonly bytes: Uint8Array } {
  if (typeof content === "string") {
    return content.isWellFormed()
      ? { form: "utf8", bytes: Buffer.from(content) }
      : { form: "utf16", bytes: Buffer.from(content, "utf16le") };
  }
  if (isUint8Array(content)) return { form: "bytes", bytes: Buffer.from(content) };
  throw new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `gcsEventStore: the content of message ${quote(id)} is neither text nor bytes; encode it before it is stored`,
    retryable: false,
  });
}

function contentOf(form: Form, bytes: Uint8Array): string | Uint8Array {
  if (form === "bytes") return new Uint8Array(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(form === "utf8" ? "utf8" : "utf16le");
}

function headerOf(name: string, bytes: Buffer): { readonly header: Header; readonly end: number } {
  const end = bytes.indexOf("\n");
  try {
    const header: Header = JSON.parse(bytes.toString("utf8", 0, end));
    if (header.version === 1) return { header, end };
  } catch (cause) {
    throw notAnEntry(name, cause);
  }
  throw notAnEntry(name);
}

function notAnEntry(name: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_CORRUPT", {
    message: `gcsEventStore: object ${JSON.stringify(name)} is no entry of this version; see that nothing else writes into its folder`,
    retryable: true,
    cause,
  });
}
