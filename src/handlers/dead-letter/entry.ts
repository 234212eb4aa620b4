import type { AnyMessage } from "../../pipeline/handler.ts";
import type { Revision, StoredMessage } from "../../stores/event-store.ts";

import { EventDriverError, isEventDriverError, isRetryable, quote } from "../../errors.ts";
import { createMessage, identityOf, type Message } from "../../message.ts";

/** Why a message was put aside. */
export interface Failure {
  /** `ERR_HANDLER_FAILED` where the error carries no code of this project. */
  readonly code: string;
  /** The error's own message, cut after 1,000 characters. */
  readonly message: string;
  /** The messages of the error's causes, outermost first; at most 5, cut like `message`. */
  readonly causes: readonly string[];
  readonly retryable: boolean;
  /** Name of the stage that failed, where that is known. */
  readonly stage?: string | undefined;
  /** Only where the dead letter was told to include it. */
  readonly stack?: string | undefined;
}

/** A message that was put aside. */
export interface DeadLetter {
  /** As it arrived at the dead letter: every part of it, text as text and bytes as bytes. */
  readonly message: Message;
  readonly failure: Failure;
  /** How often it was delivered or put aside, whichever is more. */
  readonly attempts: number;
  /** Epoch milliseconds. */
  readonly firstFailedAt: number;
  /** Epoch milliseconds. */
  readonly lastFailedAt: number;
  /** Epoch milliseconds from which it may be removed. */
  readonly expiresAt?: number | undefined;
  /** Changes whenever it fails again. */
  readonly revision: Revision;
  /** Set where its key is parked, and opaque: by it the message is known when it comes back. */
  readonly ticket?: string | undefined;
}

type Circumstances = Pick<DeadLetter, "failure" | "attempts" | "firstFailedAt" | "lastFailedAt" | "ticket">;

/** What cannot be where the store wants it: the entry's source and attributes are the dead letter's own. */
interface Packed extends Circumstances {
  readonly source: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const packedAttribute = "deadletter";
const shownCharacters = 1_000;
const shownCauses = 5;

/** Under which source an entry is stored: a message that fails again meets its own entry, and no other one of its key. */
export function entrySourceOf(message: Pick<Message, "id" | "source" | "origin">): string {
  return identityOf(message);
}

/** The content stays what it was, so that bytes are stored as bytes; all that would be in the way goes into one attribute. */
export function packDeadLetter(message: Message, circumstances: Circumstances): Message {
  const packed: Packed = { ...circumstances, source: message.source, attributes: message.attributes };
  return createMessage({ ...message, source: entrySourceOf(message), attributes: { [packedAttribute]: JSON.stringify(packed) } });
}

/** @throws EventDriverError `ERR_STORE_CORRUPT` when the entry was not written by a dead letter */
export function unpackDeadLetter({ message, revision, expiresAt }: StoredMessage): DeadLetter {
  const { source, attributes, ...circumstances } = parse(message);
  return { message: createMessage({ ...message, source, attributes }), ...circumstances, expiresAt, revision };
}

/** Says what is worth knowing of an error without keeping the error. */
export function describeFailure(error: unknown, stage: string | undefined, includeStack: boolean): Failure {
  return {
    code: isEventDriverError(error) ? error.code : "ERR_HANDLER_FAILED",
    message: describe(error),
    causes: causesOf(error).map(describe),
    retryable: isRetryable(error),
    stage,
    stack: includeStack && error instanceof Error ? error.stack : undefined,
  };
}

/** Whether a store can keep the message. */
export function isStorable(message: AnyMessage): message is Message {
  return typeof message.content === "string" || message.content instanceof Uint8Array;
}

function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  for (let at = error; at instanceof Error && at.cause !== undefined && causes.length < shownCauses; at = at.cause) causes.push(at.cause);
  return causes;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `something other than an error was thrown (${typeof error})`;
  return error.message.length > shownCharacters ? `${error.message.slice(0, shownCharacters)}...` : error.message;
}

function parse({ key, source, attributes }: Message): Packed {
  try {
    const packed: unknown = JSON.parse(attributes[packedAttribute] ?? "");
    if (isPacked(packed)) return packed;
    throw new TypeError("a part of the dead letter is missing or of another type");
  } catch (cause) {
    throw new EventDriverError("ERR_STORE_CORRUPT", {
      message: `the entry of key ${quote(key)} and source ${quote(source)} is no dead letter; give the scope that the dead letter stage has for itself`,
      retryable: false,
      cause,
    });
  }
}

function isPacked(value: unknown): value is Packed {
  return (
    isRecord(value) &&
    typeof value["source"] === "string" &&
    isRecord(value["attributes"]) &&
    isRecord(value["failure"]) &&
    typeof value["failure"]["code"] === "string" &&
    typeof value["attempts"] === "number" &&
    typeof value["firstFailedAt"] === "number" &&
    typeof value["lastFailedAt"] === "number"
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
