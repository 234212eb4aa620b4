import type { DeadLetter } from "event-driver/dead-letters";

import { toBase64 } from "event-driver";

import { printable } from "./one-line.ts";

/** What may quote the content of a message: the words of an error that is not ours, and its stack. */
const telling: ReadonlySet<string> = new Set(["dltext", "dlstack"]);

/** One dead letter in one line: when it failed last, its source, id and key, why, where, and how often. */
export function asLine({ message, failure, attempts, lastFailedAt, ticket }: DeadLetter): string {
  return [
    new Date(lastFailedAt).toISOString(),
    word(message.source),
    word(message.id),
    `key=${word(message.key)}`,
    word(failure.code),
    ...(failure.stage === undefined ? [] : [`stage=${word(failure.stage)}`]),
    `attempts=${attempts}`,
    ...(ticket === undefined ? [] : ["parked"]),
  ].join(" ");
}

/** The same as JSON, for other programs; one line. */
export function asJson(letter: DeadLetter, { content }: { readonly content: boolean }): string {
  return JSON.stringify({ ...summaryOf(letter), ...(content && contentOf(letter)) });
}

/** All that is known of it, as a list of names and values, or as JSON. The content, and what may quote it, only when asked for. */
export function asDetails(letter: DeadLetter, { content, json }: { readonly content: boolean; readonly json: boolean }): string {
  const details = {
    ...summaryOf(letter),
    firstFailedAt: new Date(letter.firstFailedAt).toISOString(),
    retryable: letter.failure.retryable,
    expiresAt: letter.expiresAt === undefined ? undefined : new Date(letter.expiresAt).toISOString(),
    attributes: Object.fromEntries(Object.entries(letter.message.attributes).filter(([name]) => content || !telling.has(name))),
    ...(content && { error: letter.failure.message, causes: letter.failure.causes, stack: letter.failure.stack, ...contentOf(letter) }),
  };
  if (json) return JSON.stringify(details);
  return Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? printable(value) : JSON.stringify(value)}`)
    .join("\n");
}

/** A word of a line as it is, or quoted where it could be taken for something else. */
export function word(text: string): string {
  return /^[\w.:@/+=#%~-]+$/.test(text) ? text : printable(JSON.stringify(text));
}

function summaryOf({ message, failure, attempts, lastFailedAt, ticket }: DeadLetter) {
  const { id, key, source, origin, type, time } = message;
  return {
    id,
    key,
    source,
    origin,
    type,
    time,
    code: failure.code,
    stage: failure.stage,
    attempts,
    lastFailedAt: new Date(lastFailedAt).toISOString(),
    parked: ticket !== undefined,
  };
}

function contentOf({ message: { content } }: DeadLetter): Readonly<Record<string, string>> {
  return typeof content === "string" ? { content } : { content: toBase64(content), encoding: "base64" };
}
