import type { ErrorCode } from "../errors.ts";
import type { Attributes, Message } from "../message.ts";
import type { EventStore, PersistOptions, Revision, StoredMessage } from "../stores/event-store.ts";

import { fromBase64, toBase64 } from "../base64.ts";
import { EventDriverError, isEventDriverError, quote } from "../errors.ts";

/**
 * Where a claim stands.
 *
 * - `running`: its owner works, and nobody else may until the lease is over
 * - `sealing`: the same, while the owner finds out what there is to do; anyone may finish that for a dead one
 * - `released`: nobody works; anyone may claim it again
 * - `done`, `failed`: the end
 */
export type ClaimPhase = "sealing" | "running" | "released" | "done" | "failed";

/** What is stored of a failure: enough to tell it to a duplicate, and nothing of the message. */
export interface StoredFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface StepRecord {
  /** Digest of the step's input, where one was given. */
  readonly input?: string;
  /** JSON text of the result; absent for `undefined`. */
  readonly result?: string;
}

export interface ClaimRecord {
  readonly phase: ClaimPhase;
  /** Random for each acquisition. */
  readonly owner: string;
  /** Only grows for a key, over all its owners. */
  readonly fence: number;
  /** Different for each write, so that a writer can tell whether its own has landed. */
  readonly token: string;
  /** How often the work was begun since it last came to an orderly stop. */
  readonly starts: number;
  /** Identity of the message whose delivery began it. */
  readonly trigger: string;
  /** Milliseconds. */
  readonly lease: number;
  /** When the owner sent this write, on the owner's clock: for stores that have none. */
  readonly writtenAt: number;
  readonly steps?: Readonly<Record<string, StepRecord>>;
  readonly failure?: StoredFailure;
  /** Whether the failure has reached someone who keeps it: a dead letter or an operator. */
  readonly reported?: boolean;
  /** Set while the entries under its key are being removed, after its retention. */
  readonly clearing?: boolean;
  readonly fingerprint?: string;
  readonly reply?: PackedMessage;
  /** The message that was claimed, where a conflict rule passes it on. */
  readonly original?: PackedMessage;
  /** What the user of the claims keeps with it: any JSON value. */
  readonly data?: unknown;
  /** Text that is kept with it as it is: it may be long, and as JSON in JSON it would be escaped at every write. */
  readonly body?: string | undefined;
}

/** A message as a JSON value. */
export interface PackedMessage extends Message<string> {
  /** Set where the content was bytes. */
  readonly encoding?: "base64";
}

/** A claim as it was found in the store. */
export interface FoundClaim {
  readonly record: ClaimRecord;
  readonly revision: Revision;
  /** Whether its owner's time is over, on the store's clock where it has one. */
  readonly leaseOver: boolean;
  /** When a sweep has to look at it, in epoch milliseconds. */
  readonly dueAt: number | undefined;
}

/** How one kind of claim is kept. */
export interface ClaimRules {
  readonly store: EventStore;
  /** The source under which a claim stands, next to whatever else its key holds. */
  readonly source: string;
  /** Milliseconds. */
  readonly lease: number;
  /** Milliseconds by which two machines' clocks may differ; counts only where the store has no clock. */
  readonly skewAllowance: number;
  /** When an entry with this record is due, and when it may go. */
  readonly times: (record: ClaimRecord, now: number) => Pick<PersistOptions, "dueAt" | "expiresAt">;
}

const noAttributes: Attributes = Object.freeze(Object.create(null));

/** A claim as a message: a line of JSON, and behind it the body where there is one. */
export function encodeClaim(key: string, source: string, record: ClaimRecord): Message {
  const { body } = record;
  const content = body === undefined ? JSON.stringify(record) : `${JSON.stringify({ ...record, body: undefined })}\n${body}`;
  return { id: record.token, key, source, content, attributes: noAttributes };
}

/** @throws EventDriverError `ERR_STORE_CORRUPT` when the entry is no claim: something else wrote into this scope. */
export function decodeClaim(stored: StoredMessage, rules: ClaimRules, now: number): FoundClaim {
  const { message, revision, storedAt, readAt, dueAt } = stored;
  const record = parseRecord(message);
  const leaseOver =
    storedAt !== undefined && readAt !== undefined
      ? readAt - storedAt >= record.lease
      : now - record.writtenAt >= record.lease + rules.skewAllowance;
  return { record, revision, leaseOver, dueAt };
}

/** A message as a JSON value that {@link unpackMessage} gives back as it was; bytes become base64. */
export function packMessage(message: Message): PackedMessage {
  const { content } = message;
  return typeof content === "string" ? { ...message, content } : { ...message, content: toBase64(content), encoding: "base64" };
}

export function unpackMessage({ encoding, attributes, content, ...parts }: PackedMessage): Message {
  return {
    ...parts,
    content: encoding === "base64" ? fromBase64(content) : content,
    attributes: Object.assign(Object.create(null), attributes),
  };
}

export function packFailure(error: unknown): StoredFailure {
  if (isEventDriverError(error)) return { code: error.code, message: error.message };
  return { code: "ERR_HANDLER_FAILED", message: error instanceof Error ? error.message : String(error) };
}

export function unpackFailure(failure: StoredFailure, id: string): EventDriverError {
  return new EventDriverError(failure.code, {
    message: `message ${quote(id)} failed before and is not tried again: ${failure.message}`,
    retryable: false,
  });
}

function parseRecord(message: Message): ClaimRecord {
  const { content } = message;
  try {
    if (typeof content === "string") {
      const end = content.indexOf("\n");
      return end === -1 ? JSON.parse(content) : { ...JSON.parse(content.slice(0, end)), body: content.slice(end + 1) };
    }
  } catch (cause) {
    throw notAClaim(message, cause);
  }
  throw notAClaim(message);
}

function notAClaim(message: Message, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_CORRUPT", {
    message: `the entry of key ${quote(message.key)} and source ${quote(message.source)} is not a claim; something else writes into this scope`,
    retryable: false,
    cause,
  });
}
