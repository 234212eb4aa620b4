import type { Message, PersistOptions, StoredMessage } from "event-driver";

import { isUint8Array } from "node:util/types";
import { EventDriverError, quote } from "event-driver";

/** What a value says of an entry, without its revision. */
export type Entry = Pick<StoredMessage, "message" | "dueAt" | "expiresAt">;

/** How the content is kept: text as UTF-8, or as UTF-16 where it holds half a surrogate pair, and bytes as they are. */
type Form = "utf8" | "utf16" | "bytes";

interface Head extends Pick<Message, "id" | "key" | "source" | "attributes"> {
  readonly version: 1;
  readonly origin?: string | undefined;
  readonly type?: string | undefined;
  readonly time?: string | undefined;
  readonly form: Form;
  /** As text, for JSON has no infinite numbers. */
  readonly dueAt?: string | undefined;
  readonly expiresAt?: string | undefined;
}

/**
 * An entry as a value: one line of JSON with all but the content, and behind it the content.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function encodeEntry(message: Message, { dueAt, expiresAt }: Pick<PersistOptions, "dueAt" | "expiresAt">): Uint8Array {
  const { id, key, source, origin, type, time, attributes } = message;
  const { form, bytes } = bytesOf(message);
  const times = {
    ...(dueAt !== undefined && { dueAt: String(dueAt) }),
    ...(expiresAt !== undefined && { expiresAt: String(expiresAt) }),
  };
  const head: Head = { version: 1, id, key, source, origin, type, time, attributes, form, ...times };
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
}

/** @throws EventDriverError `ERR_STORE_CORRUPT` */
export function decodeEntry(subject: string, value: Uint8Array): Entry {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const end = bytes.indexOf("\n");
  const { id, key, source, origin, type, time, attributes, form, dueAt, expiresAt } = headOf(subject, bytes.toString("utf8", 0, end));
  return {
    message: {
      id,
      key,
      source,
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { type }),
      ...(time !== undefined && { time }),
      content: contentOf(form, bytes.subarray(end + 1)),
      attributes: Object.assign(Object.create(null), attributes),
    },
    ...(dueAt !== undefined && { dueAt: Number(dueAt) }),
    ...(expiresAt !== undefined && { expiresAt: Number(expiresAt) }),
  };
}

function bytesOf({ id, content }: Message): { readonly form: Form; readonly bytes: Uint8Array } {
  if (isUint8Array(content)) return { form: "bytes", bytes: content };
  if (typeof content === "string")
    return content.isWellFormed()
      ? { form: "utf8", bytes: Buffer.from(content) }
      : { form: "utf16", bytes: Buffer.from(content, "utf16le") };
  throw new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `natsKvEventStore: the content of message ${quote(id)} is neither text nor bytes; encode it before it is stored`,
    retryable: false,
  });
}

function contentOf(form: Form, bytes: Buffer): string | Uint8Array {
  if (form === "bytes") return new Uint8Array(bytes);
  return bytes.toString(form === "utf8" ? "utf8" : "utf16le");
}

function headOf(subject: string, line: string): Head {
  try {
    const head: Head = JSON.parse(line);
    if (head.version === 1) return head;
  } catch (cause) {
    throw notAnEntry(subject, cause);
  }
  throw notAnEntry(subject);
}

function notAnEntry(subject: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_CORRUPT", {
    message: `natsKvEventStore: what is at ${quote(subject)} is no entry of this version; see that nothing else writes into the bucket`,
    retryable: true,
    cause,
  });
}
