import type { DeadLetter } from "../handlers/dead-letter/entry.ts";

import { invalidOption } from "../errors.ts";

/** Which dead letters are meant; all that is given must hold. */
export interface DeadLetterFilter {
  readonly key?: string | undefined;
  /** The message's source. */
  readonly source?: string | undefined;
  /** The code of the failure, such as `ERR_TERMINAL`. */
  readonly code?: string | undefined;
  /** Failed last at this time or later. */
  readonly since?: Date | undefined;
  /** Failed last before this time. */
  readonly until?: Date | undefined;
}

export type DeadLetterCondition = DeadLetterFilter | ((letter: DeadLetter) => boolean);

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function conditionOf(factory: string, where: DeadLetterCondition = {}): (letter: DeadLetter) => boolean {
  if (typeof where === "function") return where;
  const { key, source, code } = where;
  const since = timeOf(factory, "where.since", where.since) ?? -Infinity;
  const until = timeOf(factory, "where.until", where.until) ?? Infinity;
  return ({ message, failure, lastFailedAt }) =>
    (key === undefined || message.key === key) &&
    (source === undefined || message.source === source) &&
    (code === undefined || failure.code === code) &&
    lastFailedAt >= since &&
    lastFailedAt < until;
}

function timeOf(factory: string, option: string, time: Date | undefined): number | undefined {
  const milliseconds = time?.getTime();
  if (Number.isNaN(milliseconds)) throw invalidOption(factory, option, time, "a valid Date");
  return milliseconds;
}
