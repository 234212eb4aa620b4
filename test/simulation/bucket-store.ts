import type { Message } from "../../src/message.ts";
import type { EventStore, PersistOptions, Revision } from "../../src/stores/event-store.ts";
import type { Scenario } from "./scenario.ts";

import { type Clock, sleep } from "../../src/clock.ts";
import { EventDriverError, isRevisionConflict, RevisionConflictError } from "../../src/errors.ts";
import { deadlineOf, deadlineScope, listDeadlines } from "./bucket-deadlines.ts";
import { type BucketService, TooManyWrites, writeInterval } from "./bucket-service.ts";

export interface BucketStoreOptions {
  readonly service: BucketService;
  /** The clock of the process, for pauses. */
  readonly clock: Clock;
  readonly random: () => number;
  /** A bucket, or a mutant of its adapter. */
  readonly kind: Exclude<Scenario["store"], "memory">;
}

/** Requests for the objects of one scope. */
interface Place {
  readonly requests: EventStore;
  readonly path: readonly string[];
}

/** How often a request is sent again when its answer is unclear. */
const mostRetries = 3;

/** Milliseconds that one operation may take, its retries included. */
const timeout = 8_000;

/**
 * What the store of a bucket makes, in one process, of requests that are refused for coming too soon and of answers that never came: modelled on
 * what the adapter of `extensions/google-cloud` does, and written apart from it.
 *
 * Every request of `requests` is one to the service. Each write names what it replaces, and can so be sent again; where that brings a conflict, it is
 * found out whether the conflict is with itself.
 */
export function bucketStore(requests: EventStore, options: BucketStoreOptions, path: readonly string[] = []): EventStore {
  const { service, clock, random, kind } = options;

  const limited = async <Result>(signal: AbortSignal | undefined, work: (givenUp: AbortSignal) => Promise<Result>): Promise<Result> => {
    const late = new AbortController();
    const cancel = clock.after(timeout, () => late.abort(unavailable("was not done in time")));
    try {
      return await work(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } finally {
      cancel();
    }
  };

  const pause = (refusals: number): number =>
    writeInterval * (refusals === 0 ? 1 + random() / 10 : 2 ** Math.min(refusals - 1, 4) + random());
  const backoff = (retries: number): number => 2 ** retries * 1_000 * (1 - random() / 2);

  /** Sends a request that changes nothing, or can be repeated, until it is answered. */
  const again = async <Result>(givenUp: AbortSignal, request: () => Promise<Result>): Promise<Result> => {
    for (let retries = 0; ; retries += 1) {
      try {
        return await request();
      } catch (error) {
        givenUp.throwIfAborted();
        if (isRevisionConflict(error) || retries === mostRetries) throw error;
        await sleep(clock, backoff(retries), givenUp);
      }
    }
  };

  /** Resolves to the revision when the unclear write has landed, and to `undefined` when another one has for certain. */
  const readBack = async (place: Place, sent: Message, over: Revision, givenUp: AbortSignal): Promise<Revision | undefined> => {
    const found = await place.requests.lookUp(sent.key, sent.source, { signal: givenUp });
    const write = found && service.writeOf(place.path, found);
    if (found !== undefined && (write?.sent === sent || kind === "credulous bucket")) return found.revision;
    if (write !== undefined && (write.over ?? "absent") === over) return undefined;
    throw unavailable("may have been written");
  };

  /** Writes over one revision; `undefined` on a conflict. */
  const put = (place: Place, sent: Message, over: Revision, given: PersistOptions): Promise<Revision | undefined> =>
    limited(given.signal, async (givenUp) => {
      let refusals = 0;
      for (let unclear = 0; ;) {
        try {
          return await place.requests.persist(sent, { ...given, expected: over, signal: givenUp });
        } catch (error) {
          givenUp.throwIfAborted();
          if (isRevisionConflict(error)) return unclear === 0 ? undefined : await readBack(place, sent, over, givenUp);
          if (error instanceof TooManyWrites) {
            await sleep(clock, pause(refusals), givenUp);
            refusals += 1;
          } else if (unclear === mostRetries) return await readBack(place, sent, over, givenUp);
          else {
            await sleep(clock, backoff(unclear), givenUp);
            unclear += 1;
          }
        }
      }
    });

  const entries: Place = { requests, path };
  const deadlines: Place = { requests: requests.scope(deadlineScope), path: [...path, deadlineScope] };

  const write = async (message: Message, over: Revision, given: PersistOptions): Promise<Revision | undefined> => {
    // A copy of its own is what this write is known by.
    const sent = { ...message };
    const { dueAt, signal } = given;
    const addDeadline = async (): Promise<void> => {
      if (dueAt !== undefined) await put(deadlines, deadlineOf(service, sent, dueAt, over), "absent", { signal });
    };
    if (kind !== "tardy bucket") await addDeadline();
    const revision = await put(entries, sent, over, given);
    if (kind === "tardy bucket" && revision !== undefined) await addDeadline();
    return revision;
  };

  return {
    ...requests,
    async persist(message, given = {}) {
      const { expected, signal } = given;
      const { key, source } = message;
      for (let over: Revision = expected ?? "absent"; ;) {
        const revision = await write(message, over, given);
        if (revision !== undefined) return revision;
        if (expected !== undefined) throw new RevisionConflictError({ key, source, expected });
        const found = await limited(signal, (givenUp) => requests.lookUp(key, source, { signal: givenUp }));
        over = found?.revision ?? "absent";
      }
    },
    lookUp: (key, source, given) => limited(given?.signal, (signal) => again(signal, () => requests.lookUp(key, source, { signal }))),
    lookUpByKey: (key, given) => limited(given?.signal, (signal) => again(signal, () => requests.lookUpByKey(key, { signal }))),
    listSourcesByKey: (key, given) => limited(given?.signal, (signal) => again(signal, () => requests.listSourcesByKey(key, { signal }))),
    listDue: (given) => {
      const both = { service, path, entries: requests, deadlines: deadlines.requests, isHasty: kind === "hasty bucket" };
      return limited(given.signal, (signal) => again(signal, () => listDeadlines(both, { ...given, signal })));
    },
    remove: (key, source, given) =>
      limited(given?.signal, (signal) => again(signal, () => requests.remove(key, source, { ...given, signal }))),
    scope: (name) => bucketStore(requests.scope(name), options, [...path, name]),
  };
}

function unavailable(what: string): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `an object of the bucket ${what}; look it up and decide again`,
    retryable: true,
  });
}
