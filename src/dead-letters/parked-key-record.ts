import type { EventStore, PersistOptions, Revision, StoreCallOptions, StoredMessage } from "../stores/event-store.ts";

import { EventDriverError, isRevisionConflict, quote } from "../errors.ts";
import { createMessage } from "../message.ts";

/** The queue of one key as it was read. */
export interface KeyQueue {
  readonly key: string;
  /** Identities of what was put aside and is not done, in their order; empty when the key is free. */
  readonly waiting: readonly string[];
  /** `undefined` when nothing was ever written for the key, or all was removed. */
  readonly revision: Revision | undefined;
}

const recordSource = "~parked";

/** Reads the queue of a key. */
export async function readQueue(store: EventStore, key: string, options?: StoreCallOptions): Promise<KeyQueue> {
  return asQueue(key, await store.lookUp(key, recordSource, options));
}

/**
 * Writes what is to wait in the place of exactly the queue that was read. Resolves to `false` when it is no longer as read.
 *
 * A queue in which something waits never expires: its key would flow again without anybody having said so.
 */
export async function writeQueue(
  store: EventStore,
  { key, revision }: KeyQueue,
  waiting: readonly string[],
  options: Pick<PersistOptions, "expiresAt" | "signal"> = {},
): Promise<boolean> {
  const record = createMessage({ key, source: recordSource, content: JSON.stringify({ waiting }) });
  try {
    await store.persist(record, { ...options, expected: revision ?? "absent" });
    return true;
  } catch (error) {
    if (isRevisionConflict(error)) return false;
    throw error;
  }
}

/** Writes and knows the tickets of one scope. */
export interface Tickets {
  /**
   * What a message is put aside with: it says which queue its place was to be made in.
   *
   * A revision is never used again, so once the queue is at another one, the message is in it, or was, or never will be.
   */
  readonly ticketOf: (queue: KeyQueue) => string;
  /** Whether it was written for this scope. Another subscription's says nothing here. */
  readonly isOurs: (ticket: string) => boolean;
}

export function ticketsOf(scope: string): Tickets {
  const prefix = `${encodeURIComponent(scope.toWellFormed())} `;
  return {
    ticketOf: ({ revision }) => prefix + (revision === undefined ? "first" : `after ${revision}`),
    isOurs: (ticket) => ticket.startsWith(prefix),
  };
}

function asQueue(key: string, stored: StoredMessage | undefined): KeyQueue {
  if (stored === undefined) return { key, waiting: [], revision: undefined };
  return { key, waiting: parse(key, String(stored.message.content)), revision: stored.revision };
}

function parse(key: string, content: string): readonly string[] {
  try {
    const { waiting }: { readonly waiting?: unknown } = JSON.parse(content);
    if (Array.isArray(waiting) && waiting.every((identity) => typeof identity === "string")) return waiting;
    throw new TypeError("it says nothing of what waits");
  } catch (cause) {
    throw new EventDriverError("ERR_STORE_CORRUPT", {
      message: `the entry of key ${quote(key)} is no queue of a parked key; give the scope that the parked keys have for themselves`,
      retryable: false,
      cause,
    });
  }
}
