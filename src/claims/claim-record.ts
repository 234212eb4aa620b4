import type { Context } from "../context.ts";
import type { ErrorCode } from "../errors.ts";
import type { Attributes, Message } from "../message.ts";
import type { Races } from "../pipeline/race.ts";
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
  readonly input?: string | undefined;
  /** JSON text of the result; absent for `undefined`. */
  readonly result?: string | undefined;
}

export interface ClaimRecord {
  readonly phase: ClaimPhase;
  /** Different for each acquisition, of whatever process. */
  readonly owner: string;
  /** Only grows for a key, over all its owners. */
  readonly fence: number;
  /** Different for each write, so that a writer can tell whether its own has landed: the owner, and which of its writes this is. */
  readonly token: string;
  /** How often the work was begun since it last came to an orderly stop. */
  readonly starts: number;
  /** Identity of the message whose delivery began it. */
  readonly trigger: string;
  /** Milliseconds. */
  readonly lease: number;
  /** When the owner sent this write, on the owner's clock: for stores that have none. */
  readonly writtenAt: number;
  readonly steps?: Readonly<Record<string, StepRecord>> | undefined;
  readonly failure?: StoredFailure;
  /** Whether the failure has reached someone who keeps it: a dead letter or an operator. */
  readonly reported?: boolean;
  /** By which redrive of its message it has failed, see {@link redrive}. */
  readonly redrive?: string | undefined;
  /** Set while the entries under its key are being removed, after its retention. */
  readonly clearing?: boolean;
  readonly fingerprint?: string | undefined;
  readonly reply?: PackedMessage | undefined;
  /** The message that was claimed, where a conflict rule passes it on. */
  readonly original?: PackedMessage | undefined;
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
  /** A name that no other acquisition has; see {@link ownerNames}. */
  readonly nameOwner: () => string;
  /** Tells claims when to renew themselves, all of them by one timer: one for each would cost more than to write the claim down. */
  readonly renewals: Races;
  /** How an entry with this record is written: when it is due, and when it may go. */
  readonly writing: (record: ClaimRecord, expected: Revision, signal?: AbortSignal) => PersistOptions;
}

/** Claims that began within one millisecond and are done share this text: made for each, it would be a tenth of what is kept. */
let doneFence: number | undefined;
let doneLine = "";

const noAttributes: Attributes = Object.freeze(Object.create(null));

/**
 * Names for owners: a random part, and a count of its own behind it. The former tells apart what processes have made, restarts included, and costs ten
 * times as much as the latter. It is drawn with the first name, because some edge runtimes refuse randomness while a program is being loaded.
 */
export function ownerNames(): () => string {
  let random: string | undefined;
  let count = 0;
  return () => {
    random ??= crypto.randomUUID();
    count += 1;
    return random + count;
  };
}

/** Whether someone works, or did and is not known to have stopped. */
export function isUnderWay({ phase }: ClaimRecord): boolean {
  return phase === "running" || phase === "sealing";
}

/** What tells one write of an owner from its others; 0 is the one by which it got the claim. */
export function tokenOf(owner: string, write: number): string {
  return owner + `/${write}`;
}

/**
 * A claim as a message whose id is the token: a line of JSON, and behind it the body where there is one.
 *
 * Most records have only what is always there. Those are written by hand, which takes a quarter of the time; what nobody works on keeps no lease then.
 */
export function encodeClaim(key: string, source: string, record: ClaimRecord): Message {
  const { token, body } = record;
  const line = isPlain(key, record)
    ? plainLine(record)
    : JSON.stringify({ ...record, owner: undefined, token: undefined, body: undefined });
  return { id: token, key, source, content: body === undefined ? line : `${line}\n${body}`, attributes: noAttributes };
}

/** @throws EventDriverError `ERR_STORE_CORRUPT` when the entry is no claim: something else wrote into this scope. */
export function decodeClaim(stored: StoredMessage | undefined, rules: ClaimRules, { clock }: Context): FoundClaim | undefined {
  if (stored === undefined) return undefined;
  const { message, revision, storedAt, readAt, dueAt } = stored;
  const record = parseRecord(message, rules);
  const leaseOver =
    storedAt !== undefined && readAt !== undefined
      ? readAt - storedAt >= record.lease
      : clock.now() - record.writtenAt >= record.lease + rules.skewAllowance;
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

function plainLine(record: ClaimRecord): string {
  const { phase, fence, starts, lease, writtenAt } = record;
  if (phase === "done" && fence === doneFence) return doneLine;
  const line = `{"phase":"${phase}","fence":${fence}${isUnderWay(record) ? `,"starts":${starts},"lease":${lease},"writtenAt":${writtenAt}` : ""}}`;
  if (phase !== "done") return line;
  doneFence = fence;
  return (doneLine = line);
}

function isPlain(key: string, record: ClaimRecord): boolean {
  const { trigger, steps, failure, reported, clearing, fingerprint, reply, original, data } = record;
  return trigger === key && (steps ?? failure ?? reported ?? clearing ?? fingerprint ?? reply ?? original ?? data) === undefined;
}

function parseRecord({ id: token, key, source, content }: Message, { lease }: ClaimRules): ClaimRecord {
  try {
    const text = String(content);
    const end = text.indexOf("\n");
    const parsed = JSON.parse(end === -1 ? text : text.slice(0, end));
    if (typeof parsed.phase !== "string") throw new TypeError("it has no phase");
    const owner = token.slice(0, token.lastIndexOf("/"));
    return { trigger: key, starts: 1, lease, writtenAt: 0, ...parsed, owner, token, body: end === -1 ? undefined : text.slice(end + 1) };
  } catch (cause) {
    throw new EventDriverError("ERR_STORE_CORRUPT", {
      message: `the entry of key ${quote(key)} and source ${quote(source)} is no claim; something else writes into this scope`,
      retryable: false,
      cause,
    });
  }
}
