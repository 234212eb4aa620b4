import type { Message } from "../../src/message.ts";
import type { DueEntry, EventStore, ListDueOptions, Revision } from "../../src/stores/event-store.ts";
import type { BucketService } from "./bucket-service.ts";

import { createMessage } from "../../src/message.ts";

/** A deadline, and the write that it comes with. */
interface Deadline extends DueEntry {
  /** What the write is known by. */
  readonly token: string;
  /** What it replaces. */
  readonly over: Revision;
  readonly addedAt: number;
  /** The source of the object that stands for it. */
  readonly object: string;
}

/** Scope of the objects that stand for deadlines. */
export const deadlineScope = "~deadlines";

/** Milliseconds after which no write can be on its way any more. */
const grace = 60_000;

const all = "all";

/** The object that stands for a deadline of a write, to be written before it: one that leads nowhere is dropped, and one that is missing is lost. */
export function deadlineOf(service: BucketService, sent: Message, dueAt: number, over: Revision): Message {
  const source = JSON.stringify([dueAt, sent.key, sent.source, service.tokenOf(sent), over, service.now()]);
  return createMessage({ id: source, key: all, source, content: "" });
}

export interface DeadlineRequests {
  readonly service: BucketService;
  readonly path: readonly string[];
  /** Requests for entries, and for the objects that stand for their deadlines. */
  readonly entries: EventStore;
  readonly deadlines: EventStore;
  /** Whether it drops what may still come to count, which is a mutant. */
  readonly isHasty: boolean;
}

/** Finds what is due: whatever deadline has an entry that is as its write has left it. Drops those that cannot count any more. */
export async function listDeadlines(requests: DeadlineRequests, options: ListDueOptions): Promise<readonly DueEntry[]> {
  const { service, path, entries, deadlines, isHasty } = requests;
  const { before, limit, after, signal } = options;

  const countsNow = async ({ key, source, dueAt, token, over, addedAt, object }: Deadline): Promise<readonly DueEntry[]> => {
    const entry = await entries.lookUp(key, source, { signal });
    const write = entry && service.writeOf(path, entry);
    if (write !== undefined && service.tokenOf(write.sent) === token) return [{ key, source, dueAt }];
    const mayCome = !isHasty && (entry?.revision ?? "absent") === over;
    // Whoever finds it next tries again.
    if (!mayCome || service.now() - addedAt > grace) await deadlines.remove(all, object).catch(() => undefined);
    return [];
  };

  const objects = await deadlines.listSourcesByKey(all, { signal });
  const due = objects
    .map(parsed)
    .filter((deadline) => deadline.dueAt <= before && (after === undefined || compare(deadline, after) > 0))
    .sort(compare);
  const found = await Promise.all(due.map(countsNow));
  return found.flat().slice(0, limit);
}

function parsed(object: string): Deadline {
  const [dueAt, key, source, token, over, addedAt] = JSON.parse(object);
  return { dueAt, key, source, token, over, addedAt, object };
}

function compare(one: DueEntry, other: DueEntry): number {
  return one.dueAt - other.dueAt || compareText(one.key, other.key) || compareText(one.source, other.source);
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
