import type { Message, StoredMessage } from "event-driver";

import { Buffer } from "node:buffer";
import { types } from "node:util";
import { EventDriverError, quote } from "event-driver";

/** The parameters of a statement, by name. */
export type Parameters = Readonly<Record<string, string | number | boolean | null>>;

/** A row of a result, by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>;

/** A request is at most 10 MB, and some of that is not content. */
const maximumContentBytes = 9_000_000;

/** Which entry a row belongs to, as parameters. */
export function entryParameters(scope: string, key: string, source: string): Parameters {
  return { scope: encodeText(scope), key: encodeText(key), source: encodeText(source) };
}

/**
 * The row of a message, as parameters. Made before anything is awaited: what the caller does to its message later changes nothing.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`, `ERR_TOO_LARGE`
 */
export function messageParameters(
  scope: string,
  message: Message,
  revision: string,
  times: { readonly dueAt: number | null; readonly expiresAt: number | null },
): Parameters {
  const { id, origin, type, time, attributes } = message;
  return {
    ...entryParameters(scope, message.key, message.source),
    id: encodeText(id),
    origin: origin === undefined ? null : encodeText(origin),
    type: type === undefined ? null : encodeText(type),
    time: time === undefined ? null : encodeText(time),
    ...contentParameters(message),
    attributes: encodeJson(attributes),
    revision,
    deleted: false,
    due_at: times.dueAt,
    expires_at: times.expiresAt,
  };
}

/** The row that says that an entry is there no more. */
export function removalParameters(scope: string, key: string, source: string, revision: string): Parameters {
  const nothing = { id: null, origin: null, type: null, time: null, content: null, content_bytes: null, attributes: null };
  return { ...entryParameters(scope, key, source), ...nothing, revision, deleted: true, due_at: null, expires_at: null };
}

/** Made without the checks of `createMessage`: only what was once a message is ever stored. */
export function storedMessage(key: string, row: Row): StoredMessage {
  const origin = optionalText(row["origin"]);
  const type = optionalText(row["type"]);
  const time = optionalText(row["time"]);
  const dueAt = row["due_at"];
  const expiresAt = row["expires_at"];
  return {
    message: {
      id: text(row["id"]),
      key,
      source: text(row["source"]),
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { type }),
      ...(time !== undefined && { time }),
      content: content(row),
      attributes: attributesIn(key, row),
    },
    revision: String(row["revision"]),
    storedAt: Number(row["stored_micros"]) / 1_000,
    readAt: Number(row["read_micros"]) / 1_000,
    ...(dueAt !== null && { dueAt: Number(dueAt) }),
    ...(expiresAt !== null && { expiresAt: Number(expiresAt) }),
  };
}

/** A column of text that is never null. */
export function text(value: unknown): string {
  return decodeText(String(value));
}

function optionalText(value: unknown): string | undefined {
  return value === null ? undefined : text(value);
}

function attributesIn(key: string, row: Row): Message["attributes"] {
  try {
    const attributes: Record<string, string> = JSON.parse(String(row["attributes"]));
    return Object.assign(Object.create(null), attributes);
  } catch (cause) {
    throw new EventDriverError("ERR_STORE_CORRUPT", {
      message: `bigQueryEventStore: the attributes under key ${quote(key)} are no JSON, so something else has written this row; delete it by its revision ${String(row["revision"])}`,
      retryable: true,
      cause,
    });
  }
}

/** The client makes a Buffer of bytes; what callers are given is theirs alone. */
function content(row: Row): string | Uint8Array {
  const bytes = row["content_bytes"];
  return types.isUint8Array(bytes) ? new Uint8Array(bytes) : text(row["content"]);
}

function contentParameters({ id, content: given }: Message): Parameters {
  const parameters = encodeContent(id, given);
  const size = Buffer.byteLength(parameters.content ?? parameters.content_bytes ?? "");
  if (size <= maximumContentBytes) return { ...parameters };
  throw new EventDriverError("ERR_TOO_LARGE", {
    message: `bigQueryEventStore: the content of message ${quote(id)} takes ${size} bytes in a request, and BigQuery takes ${maximumContentBytes}; keep it elsewhere`,
    retryable: false,
  });
}

/** Bytes as base64, which is how a parameter carries them. */
function encodeContent(id: string, given: unknown): { readonly content: string | null; readonly content_bytes: string | null } {
  if (typeof given === "string") return { content: encodeText(given), content_bytes: null };
  if (types.isUint8Array(given)) {
    return { content: null, content_bytes: Buffer.from(given.buffer, given.byteOffset, given.byteLength).toString("base64") };
  }
  throw new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `bigQueryEventStore: the content of message ${quote(id)} is neither text nor bytes; encode it before it is stored`,
    retryable: false,
  });
}

/** Begins an escape. A character for private use: ordinary text has none, so ordinary text is stored as it is. */
const mark = "\uE000";

/**
 * What must not reach the client as it is: the mark itself, control characters, half a surrogate pair, which UTF-8 has no place for, and the start
 * of `{{projectId}}`, which the client replaces by the name of the project wherever it meets it, in the content of a message too.
 */
const unsafe = /\uE000|(?![\t\n\r])\p{Cc}|\p{Surrogate}|\{(?=\{projectId\}\})/gu;
const escaped = /\uE000([0-9a-f]{4})/g;

/** Text as it is stored. Different texts stay different, and what {@link decodeText} makes of it is the text. */
export function encodeText(text: string): string {
  return text.replace(unsafe, (character) => mark + character.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function decodeText(stored: string): string {
  return stored.replace(escaped, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** JSON as it is stored: it escapes by its own means, so BigQuery's functions for JSON can read it. */
export function encodeJson(value: object): string {
  return JSON.stringify(value).replaceAll("{{projectId}}", "\\u007b{projectId}}");
}
