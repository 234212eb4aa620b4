import type { Message } from "../message.ts";
import type { Processor } from "../pipeline/pipeline.ts";
import type { EventStore, StoreCallOptions } from "../stores/event-store.ts";
import type { RedriveOptions, RedriveReport } from "./redrive-options.ts";

import { type Context, createContext, deriveContext, type EndReason, liveSignal } from "../context.ts";
import { invalidOption, isRevisionConflict, RevisionConflictError } from "../errors.ts";
import { identityOf } from "../message.ts";
import { parkingTicket } from "../pipeline/key-parking.ts";
import { replaying } from "../pipeline/replaying.ts";
import { locksIn } from "./lock.ts";
import { type ParkedKeys, parkedKeys } from "./parked-keys.ts";
import { redriveLetters, type RedriveSource, type RedriveTarget, type ReplayOutcome } from "./redrive.ts";
import { type DeadLetter, entrySourceOf, unpackDeadLetter } from "../handlers/dead-letter/entry.ts";

export interface ListDeadLettersOptions extends StoreCallOptions {
  /**
   * At most so many.
   * @default 100
   */
  readonly limit?: number;
  /** Only what comes after this one, the last one of the page before. */
  readonly after?: DeadLetter | undefined;
}

/** What a message that was put aside is found by. The message itself will do. */
export type DeadLetterReference = Pick<Message, "key" | "id" | "source" | "origin">;

/** Messages that were put aside, for operators. */
export interface DeadLetters {
  /** A page of them, those of one key together, in an order that does not change. */
  list(options?: ListDeadLettersOptions): Promise<readonly DeadLetter[]>;
  /** `undefined` when there is none; never an error for that. */
  get(reference: DeadLetterReference, options?: StoreCallOptions): Promise<DeadLetter | undefined>;
  /**
   * Removes it, if it is still exactly this one, and lets go what waits behind it. Removing what is not there is no error.
   *
   * @throws EventDriverError `ERR_REVISION_CONFLICT` when it has failed again since it was read
   */
  remove(letter: DeadLetter, options?: StoreCallOptions): Promise<void>;
  /**
   * Processes the message again, and removes the dead letter only when that has succeeded.
   *
   * Give it the pipeline as it is, dead letter included: stages that remember the message as failed open it again. Stages in front of the dead
   * letter see the message a second time. It rejects when the message fails in another way than for good, or when the dead letter could not be
   * removed; the dead letter is still there then, and can be replayed again.
   */
  replay(pipeline: Pick<Processor, "process">, letter: DeadLetter, ctx?: Context): Promise<ReplayOutcome>;
  /**
   * Processes many of them again, or publishes them to a stream, and removes each when that has succeeded.
   *
   * A parked key is redriven in order and completely, with what comes meanwhile, until one of it fails. Interrupted, it can be done again: what was processed
   * before is known as a duplicate by a pipeline with `idempotency`, and then removed. Two that run at once share the work, key by key, where the store
   * can compare and set. What fails is in the report and stays; `failed` may name messages that were removed by hand or have expired.
   *
   * @throws EventDriverError `ERR_INVALID_OPTION`
   */
  redrive(target: RedriveTarget, options?: RedriveOptions): Promise<RedriveReport>;
}

/**
 * The messages that a `deadLetter` stage has put aside in a store.
 *
 * Use it in a tool for operators. It shows the content of messages, so show it only to those who may see that.
 *
 * @param scope the stage's own
 * @param parked what the stage's `parkKey` is, where its store or scope is another one; else `parkedKeys({ store })`
 * @throws EventDriverError `ERR_INVALID_OPTION`; its calls reject with `ERR_STORE_CORRUPT` when the scope holds something else
 * @example
 * const letters = deadLetters(store);
 * for (const letter of await letters.list()) await letters.replay(orders, letter);
 * await letters.redrive(orders, { where: { code: "ERR_TERMINAL" }, rate: 50 });
 */
export function deadLetters(store: EventStore, scope = "dead-letters", parked?: ParkedKeys): DeadLetters {
  if (typeof store?.scope !== "function") throw invalidOption("deadLetters", "store", store, "an EventStore");
  const entries = store.scope(scope);
  // Only when a letter of a parked key is met: without such, the store need not compare and set.
  const parkedOf = (): ParkedKeys => parked ?? parkedKeys({ store });

  const get: DeadLetters["get"] = async (reference, options) => {
    const stored = await entries.lookUp(reference.key, entrySourceOf(reference), options);
    return stored && unpackDeadLetter(stored);
  };
  const removeEntry = (letter: DeadLetter, signal: AbortSignal | undefined): Promise<void> =>
    entries.remove(letter.message.key, entrySourceOf(letter.message), { expected: letter.revision, signal });

  const replay: DeadLetters["replay"] = async (pipeline, letter, ctx = createContext()) => {
    let isDuplicate = false;
    const ended = (reason: EndReason): void => {
      isDuplicate ||= reason === "duplicate";
      ctx.ended(reason);
    };
    await pipeline.process(replayContext(ctx, letter, ended), letter.message);
    if (isDuplicate) return "duplicate";
    try {
      await removeEntry(letter, liveSignal(ctx));
      return "done";
    } catch (error) {
      if (isRevisionConflict(error)) return "put aside again";
      throw error;
    }
  };

  const source: RedriveSource = {
    all: () => lettersAfter(entries, undefined, 100, undefined),
    find: async (key, identity) => {
      const stored = await entries.lookUp(key, identity);
      return stored && unpackDeadLetter(stored);
    },
    remove: removeEntry,
    replay,
    parked: parkedOf,
    lock: locksIn(entries.scope("redrives")),
  };

  return {
    get,
    replay,
    redrive: (target, options) => redriveLetters(source, target, options),
    async remove(letter, { signal } = {}) {
      if (letter.ticket !== undefined) {
        const { message, revision } = letter;
        const current = await get(message, { signal });
        if (current !== undefined && current.revision !== revision)
          throw new RevisionConflictError({ key: message.key, source: entrySourceOf(message), expected: revision });
        await parkedOf().skip(message.key, identityOf(message));
      }
      await removeEntry(letter, signal);
    },
    async list({ limit = 100, after, signal } = {}) {
      if (!Number.isInteger(limit) || limit < 1) throw invalidOption("deadLetters.list", "limit", limit, "a whole number from 1");
      const page: DeadLetter[] = [];
      for await (const letter of lettersAfter(entries, after, limit, signal)) {
        page.push(letter);
        if (page.length === limit) break;
      }
      return page;
    },
  };
}

function replayContext(ctx: Context, { attempts, ticket }: DeadLetter, ended: (reason: EndReason) => void): Context {
  const again = replaying.set(deriveContext(ctx, { attempt: attempts + 1, ended }), true);
  return ticket === undefined ? again : parkingTicket.set(again, ticket);
}

/** A page may begin in the middle of a key, so the rest of that key comes first. */
async function* lettersAfter(
  entries: EventStore,
  after: DeadLetter | undefined,
  pageSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<DeadLetter> {
  if (after !== undefined) {
    const reached = entrySourceOf(after.message);
    for (const letter of await lettersOfKey(entries, after.message.key, signal)) if (entrySourceOf(letter.message) > reached) yield letter;
  }
  let last = after?.message.key;
  for (;;) {
    const keys = await entries.listKeys({ limit: pageSize, signal, ...(last !== undefined && { after: last }) });
    for (const key of keys) yield* await lettersOfKey(entries, key, signal);
    if (keys.length < pageSize) return;
    last = keys.at(-1);
  }
}

async function lettersOfKey(entries: EventStore, key: string, signal: AbortSignal | undefined): Promise<readonly DeadLetter[]> {
  const stored = await entries.lookUpByKey(key, { signal });
  return stored.toSorted((one, other) => (one.message.source < other.message.source ? -1 : 1)).map(unpackDeadLetter);
}
