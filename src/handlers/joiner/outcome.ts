import type { ClaimRecord } from "../../claims/claim-record.ts";
import type { Attributes, Message } from "../../message.ts";

import { toBase64 } from "../../base64.ts";
import { digest } from "../../digest.ts";
import { isJsonObject } from "../../json.ts";
import { compareText, compareTimes } from "./event-time.ts";
import { isSameEvent, type Member, memberOf } from "./members.ts";

/** How a join ended: its condition held, or its window did not wait any longer. */
export type OutcomeKind = "complete" | "timeout";

/** What is frozen with the end of a join. A second emission uses this, and nothing that is stored by then. */
export interface Outcome {
  readonly kind: OutcomeKind;
  readonly members: readonly Member[];
  readonly missing: readonly string[];
  /** What is emitted; left out once that is done. */
  readonly composed?: Composed;
}

export interface Composed {
  readonly id: string;
  readonly time: string;
  readonly content: string;
}

/** Source and type of every message that a joiner emits. */
const composedEvent = "composed-event";

const composedAttributes: Attributes = Object.freeze(Object.assign(Object.create(null), { datacontenttype: "application/json" }));

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Freezes a join: its members, what is composed of them, and an id that only these members of this key give, so that a second emission is
 * recognised by anyone downstream.
 */
export async function freeze(
  join: { readonly scope: string; readonly key: string; readonly kind: OutcomeKind; readonly missing: readonly string[] },
  messages: readonly Message[],
  now: number,
): Promise<Outcome & { readonly composed: Composed }> {
  const sorted = messages.toSorted((left, right) => compareText(left.source, right.source));
  const members = sorted.map(memberOf);
  const identities = members
    .map(({ origin, id }) => [origin, id] as const)
    .sort(([origin, id], [otherOrigin, otherId]) => compareText(origin, otherOrigin) || compareText(id, otherId));
  const id = await digest(JSON.stringify([join.scope, join.key, join.kind, identities]));
  const composed = { id, time: latestTime(members) ?? new Date(now).toISOString(), content: composeContent(sorted) };
  return { kind: join.kind, members, missing: join.missing, composed };
}

/** The message that a frozen join emits: the same one however often it is asked for. */
export function composedMessage(key: string, { id, time, content }: Composed): Message<string> {
  return { id, key, source: composedEvent, type: composedEvent, time, content, attributes: composedAttributes };
}

/** How an outcome is kept in a claim: what it composes is its body. */
export function held({ composed, ...outcome }: Outcome): Pick<ClaimRecord, "data" | "body"> {
  if (composed === undefined) return { data: outcome, body: undefined };
  const { content, ...named } = composed;
  return { data: { ...outcome, composed: named }, body: content };
}

/** The outcome that a claim holds; `undefined` where nothing is decided. */
export function outcomeOf(record: ClaimRecord | undefined): Outcome | undefined {
  const data = record?.data;
  if (!isOutcome(data)) return undefined;
  return data.composed === undefined ? data : { ...data, composed: { ...data.composed, content: record?.body ?? "" } };
}

export function isMember(outcome: Outcome, message: Message): boolean {
  const own = memberOf(message);
  return outcome.members.some((member) => member.source === own.source && isSameEvent(member, own));
}

/**
 * One JSON object with a member for each source.
 *
 * Content that is a JSON object goes in as it was written, so no number is read and rounded and no repeated member dropped. Anything else is a
 * string; bytes that are not UTF-8 are an object that says how they are encoded, `{"data_base64":"..."}`, as the CloudEvents JSON format names it.
 */
function composeContent(sorted: readonly Message[]): string {
  return `{${sorted.map(({ source, content }) => `${JSON.stringify(source)}:${jsonOf(content)}`).join(",")}}`;
}

function jsonOf(content: string | Uint8Array): string {
  const text = typeof content === "string" ? content : decode(content);
  if (text === undefined) return JSON.stringify({ data_base64: typeof content === "string" ? content : toBase64(content) });
  return isJsonObject(text) ? text : JSON.stringify(text);
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function latestTime(members: readonly Member[]): string | undefined {
  let latest: string | undefined;
  for (const { time } of members) {
    if (time !== undefined && (latest === undefined || compareTimes(time, latest) >= 0)) latest = time;
  }
  return latest;
}

function isOutcome(data: unknown): data is Outcome {
  return typeof data === "object" && data !== null && "kind" in data && "members" in data;
}
