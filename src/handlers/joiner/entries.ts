import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { EventStore, PersistOptions, Revision } from "../../stores/event-store.ts";

import { liveSignal } from "../../context.ts";
import { EventDriverError, isRevisionConflict, quote } from "../../errors.ts";
import { isSameEvent, memberOf, type RepeatPolicy, takesPlace } from "./members.ts";

/** What became of a message's own entry. */
export interface Accepted {
  /** The revision it wrote; absent when what was stored counts instead, be it the same event or another of its source. */
  readonly wrote: Revision | undefined;
  /** The revision under which the same event was found, from an earlier delivery. */
  readonly found: Revision | undefined;
  /** Whether another event of the same source counts instead of it. */
  readonly superseded: boolean;
}

/** The entries that a joiner writes beside the messages stand under these names; no message's source can. */
export const windowEntry = "~window";
export const outcomeEntry = "~outcome";

/** The name under which a source's message is stored: sources that begin with `~` get another one, for a single one is ours. */
export function entryName(source: string): string {
  return source.startsWith("~") ? `~${source}` : source;
}

/** The source of an entry; `undefined` for one of the joiner's own. */
export function sourceOf(name: string): string | undefined {
  if (!name.startsWith("~")) return name;
  return name.startsWith("~~") ? name.slice(1) : undefined;
}

/**
 * Stores a message under its key and source, unless an event that is stored there counts instead of it.
 *
 * @throws EventDriverError `ERR_REPEATED_SOURCE`, terminal, where the policy is to reject another event
 */
export async function accept(
  store: EventStore,
  ctx: Context,
  message: Message,
  policy: RepeatPolicy,
  options: Pick<PersistOptions, "expiresAt"> = {},
): Promise<Accepted> {
  const signal = liveSignal(ctx);
  const name = entryName(message.source);
  const entry = name === message.source ? message : { ...message, origin: message.origin ?? message.source, source: name };
  // Where the store cannot compare, the first look takes the place of the first attempt.
  let expected: Revision | undefined = store.features.compareAndSet ? "absent" : undefined;
  let mustLook = expected === undefined;
  for (;;) {
    if (mustLook) {
      const stored = await store.lookUp(message.key, name, { signal });
      if (stored !== undefined) {
        const [own, holder] = [memberOf(message), memberOf({ ...stored.message, source: message.source })];
        if (isSameEvent(own, holder)) return { wrote: undefined, found: stored.revision, superseded: false };
        if (policy === "reject") throw repeatedSource(message);
        if (!takesPlace(own, holder, policy)) return { wrote: undefined, found: undefined, superseded: true };
      }
      if (store.features.compareAndSet) expected = stored?.revision ?? "absent";
    }
    try {
      const wrote = await store.persist(entry, { signal, ...options, ...(expected !== undefined && { expected }) });
      return { wrote, found: undefined, superseded: false };
    } catch (error) {
      if (!isRevisionConflict(error)) throw error;
      mustLook = true;
    }
  }
}

/** The messages under a key, as they came in. */
export async function readMembers(store: EventStore, ctx: Context, key: string): Promise<readonly Message[]> {
  const stored = await store.lookUpByKey(key, { signal: liveSignal(ctx) });
  return stored.flatMap(({ message }) => {
    const source = sourceOf(message.source);
    if (source === undefined) return [];
    return source === message.source ? message : asItCame(message, source);
  });
}

function asItCame(entry: Message, source: string): Message {
  const { origin, ...rest } = entry;
  return { ...rest, source, ...(origin !== undefined && origin !== source && { origin }) };
}

/** What a message is told that comes as another event of a source, where only one is allowed. */
export function repeatedSource(message: Message): EventDriverError {
  return new EventDriverError("ERR_REPEATED_SOURCE", {
    message: `message ${quote(message.id)} is a second event of source ${quote(message.source)} for key ${quote(message.key)}; one is stored already`,
    retryable: false,
  });
}
