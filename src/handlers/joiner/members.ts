import type { Message } from "../../message.ts";

import { compareText, compareTimes } from "./event-time.ts";

/**
 * Which of two events of one source counts.
 *
 * - `last`: the one with the later event time, or on a tie with the greater id
 * - `first`: the other one
 * - `reject`: the one that was stored first; another is refused with `ERR_REPEATED_SOURCE`
 */
export type RepeatPolicy = "last" | "first" | "reject";

/** What decides between two events of one source, without their content. */
export interface Member {
  readonly source: string;
  readonly origin: string;
  readonly id: string;
  readonly time?: string;
}

/** How a message stands to a join whose members are decided. */
export type Standing = "included" | "superseded" | "late";

export function memberOf(message: Message): Member {
  const { source, origin = source, id, time } = message;
  return { source, origin, id, ...(time !== undefined && { time }) };
}

export function isSameEvent(left: Member, right: Member): boolean {
  return left.id === right.id && left.origin === right.origin;
}

/** Whether `challenger` takes the place of `holder`. Total, so that any order of arrival ends with the same one. */
export function takesPlace(challenger: Member, holder: Member, policy: RepeatPolicy): boolean {
  const order =
    compareTimes(challenger.time, holder.time) || compareText(challenger.id, holder.id) || compareText(challenger.origin, holder.origin);
  if (policy === "reject") return false;
  return policy === "last" ? order > 0 : order < 0;
}

/** `late`: it is not among the members and would have changed them. `superseded`: it is not, and would not have. */
export function standingOf(message: Message, members: readonly Member[], policy: RepeatPolicy): Standing {
  const own = memberOf(message);
  const member = members.find((each) => each.source === own.source);
  if (member === undefined) return "late";
  if (isSameEvent(own, member)) return "included";
  return takesPlace(own, member, policy) ? "late" : "superseded";
}
