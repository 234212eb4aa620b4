import type { AnyMessage } from "../pipeline/handler.ts";
import type { KeyParking, ParkingPlace, Visit, VisitOutcome } from "../pipeline/key-parking.ts";
import type { EventStore, ListKeysOptions, StoreCallOptions } from "../stores/event-store.ts";

import { type Clock, systemClock } from "../clock.ts";
import { liveSignal } from "../context.ts";
import { EventDriverError, invalidOption, quote } from "../errors.ts";
import { identityOf } from "../message.ts";
import { parkingTicket } from "../pipeline/key-parking.ts";
import { type KeyQueue, readQueue, ticketsOf, writeQueue } from "./parked-key-record.ts";

export interface ParkedKeysOptions {
  /** Where the queues are kept. It must be able to compare and set. */
  readonly store: EventStore;
  /**
   * The part of the store that is for them alone. Give each pipeline, and each subscription, its own.
   * @default "parked-keys"
   */
  readonly scope?: string;
  /**
   * How many messages of one key may wait. Later ones fail with `ERR_OVERLOADED`, retryable, so that their sender keeps them.
   * @default 1_000
   */
  readonly limit?: number;
  /**
   * How long a queue is remembered after its last message is done, in milliseconds. Longer than a write or a delivery can be under way.
   * @default 1_209_600_000, 14 days
   */
  readonly retention?: number;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A key that waits for somebody. */
export interface ParkedKey {
  readonly key: string;
  /** Identities of the messages that wait, as `identityOf` gives them, in the order in which they will run. */
  readonly waiting: readonly string[];
}

/** The keys of which a message was put aside, and the order of what waits behind it. */
export interface ParkedKeys extends KeyParking {
  /** A page of them. It may be shorter than its limit, and `next` says where the following one begins; absent on the last one. */
  list(options?: Partial<ListKeysOptions>): Promise<{ readonly keys: readonly ParkedKey[]; readonly next?: string }>;
  /** `undefined` when the key is free. */
  get(key: string, options?: StoreCallOptions): Promise<ParkedKey | undefined>;
  /**
   * Takes a message out of the queue, because it is done or will never come back. Taking out what is not there is no error.
   *
   * Whatever stands behind it may run then.
   */
  skip(key: string, identity: string): Promise<void>;
  /** Whether a message with this ticket can still get a place in the queue, or has one. Where not, what was put aside of it is left over. */
  isPending(message: Pick<AnyMessage, "key" | "id" | "source" | "origin">, ticket: string, options?: StoreCallOptions): Promise<boolean>;
}

/**
 * Keeps the order of a key over a dead letter: once one of its messages was put aside, all later ones are put aside behind it, in order and without being
 * run, until the key is redriven. Other keys flow.
 *
 * Use it where the messages of a key change the same thing and one must not overtake another. Give it to `deadLetter({ store, parkKey })`, or to the
 * `deadLetter` of a subscription. All workers of a pipeline, and whoever redrives, share it by its store.
 *
 * A key has one record: the identities of what waits, in order. Every change is a compare-and-set of that record, and this is all there is to it:
 *
 * - Free: nothing waits. A message runs. When it fails for good it is kept, then written into the queue, then acknowledged.
 * - Parked: something waits. A message that is not in the queue is kept, then written at its end, then acknowledged. One that is in the queue was kept
 *   before, so a second delivery is acknowledged.
 * - A message that comes back carries a ticket. The first of the queue runs, and leaves it when it is done; it stays first when it fails. One further
 *   behind is kept again. One that is not in the queue was done before; unless the queue is still as its ticket says, for then its place may be about to
 *   be written, and it is kept again.
 * - When the last one has left, the key is free. A message that was about to be written behind it loses the compare-and-set, looks again, and runs.
 *
 * Whenever a process dies, either the place is written, and then the message is kept; or it is not, and then nothing was acknowledged. Two copies of
 * a message do no harm: the second finds itself done. A ticket of another scope says nothing here: that message has come for the first time. A queue in which something waits never expires, though what waits does.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` when the store cannot compare and set
 * @example
 * const parkKey = parkedKeys({ store });
 * const orders = pipeline().use(deadLetter({ store, parkKey })).use(idempotency({ store })).use(charge);
 */
export function parkedKeys(options: ParkedKeysOptions): ParkedKeys {
  const { store, limit, retention, clock, scope } = withDefaults(options);
  const { ticketOf, isOurs } = ticketsOf(scope);

  const pass = async (visit: Visit, identity: string): Promise<VisitOutcome> => {
    const { ctx, message, run, putAside } = visit;
    const given = parkingTicket.get(ctx);
    const ticket = given !== undefined && isOurs(given) ? given : undefined;
    const signal = liveSignal(ctx);
    for (;;) {
      const queue = await readQueue(store, message.key, { signal });
      const [first] = queue.waiting;
      if (queue.waiting.includes(identity)) {
        if (ticket === undefined) return "duplicate";
        return first === identity ? takeTurn(visit, queue, identity) : keepAgain(visit, ticket, first);
      }
      if (ticket !== undefined) return ticket === ticketOf(queue) ? keepAgain(visit, ticket, first) : "duplicate";
      if (first === undefined) {
        const outcome = await run();
        return typeof outcome === "string" ? outcome : enter(visit, identity, outcome.error);
      }
      requireRoom(queue, message.id, limit);
      await putAside(waitsBehind(message, first), ticketOf(queue));
      if (await writeQueue(store, queue, [...queue.waiting, identity], { signal })) return "put aside";
    }
  };

  const enter = async ({ ctx, message, putAside }: Visit, identity: string, error: unknown): Promise<VisitOutcome> => {
    const signal = liveSignal(ctx);
    for (;;) {
      const queue = await readQueue(store, message.key, { signal });
      if (queue.waiting.includes(identity)) return "put aside";
      requireRoom(queue, message.id, limit);
      await putAside(error, ticketOf(queue));
      if (await writeQueue(store, queue, [...queue.waiting, identity], { signal })) return "put aside";
    }
  };

  const takeTurn = async ({ message, run, putAside }: Visit, queue: KeyQueue, identity: string): Promise<VisitOutcome> => {
    const outcome = await run();
    if (outcome === "again") return outcome;
    if (outcome === "done") await skip(message.key, identity);
    else await putAside(outcome.error, ticketOf(queue));
    return outcome === "done" ? "done" : "put aside";
  };

  // Without a signal: what has run is done, whoever still waits for it.
  const skip = async (key: string, identity: string): Promise<void> => {
    for (;;) {
      const queue = await readQueue(store, key);
      if (!queue.waiting.includes(identity)) return;
      const rest = queue.waiting.filter((other) => other !== identity);
      if (await writeQueue(store, queue, rest, rest.length === 0 ? { expiresAt: clock.now() + retention } : {})) return;
    }
  };

  return {
    visit: (visit) => pass(visit, identityOf(visit.message)),
    skip,
    async get(key, { signal } = {}) {
      const { waiting } = await readQueue(store, key, { signal });
      return waiting.length === 0 ? undefined : { key, waiting };
    },
    async list({ limit: pageSize = 100, after, signal } = {}) {
      if (!Number.isInteger(pageSize) || pageSize < 1) throw invalidOption("parkedKeys.list", "limit", pageSize, "a whole number from 1");
      const names = await store.listKeys({ limit: pageSize, signal, ...(after !== undefined && { after }) });
      const queues = await Promise.all(names.map((key) => readQueue(store, key, { signal })));
      const keys = queues.filter(({ waiting }) => waiting.length > 0).map(({ key, waiting }) => ({ key, waiting }));
      const next = names.length < pageSize ? undefined : names.at(-1);
      return { keys, ...(next !== undefined && { next }) };
    },
    async isPending(message, ticket, options) {
      const queue = await readQueue(store, message.key, options);
      return ticket === ticketOf(queue) || queue.waiting.includes(identityOf(message));
    },
  };
}

/**
 * The parked keys of all subscriptions, each in a part of the store of its own.
 *
 * Give it to a connection, and every subscription with an order by key and a dead-letter stream parks its keys; ask it yourself for those of one subscription.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` when the store cannot compare and set
 * @example
 * const parkKey = parkedKeysBySubscription({ store });
 * const connection = await natsConnection({ url, parkKey });
 * await deadLetterStream(connection, { stream: "orders-failed", parked: parkKey({ stream: "orders", name: "billing" }) }).redrive();
 */
export function parkedKeysBySubscription(options: Omit<ParkedKeysOptions, "scope">): (subscription: ParkingPlace) => ParkedKeys {
  withDefaults(options);
  // As JSON, no two places are the same text.
  return ({ stream, name }) => parkedKeys({ ...options, scope: JSON.stringify(["parked-keys", stream, name]) });
}

async function keepAgain({ message, putAside }: Visit, ticket: string, first: string | undefined): Promise<VisitOutcome> {
  await putAside(waitsBehind(message, first), ticket);
  return "put aside";
}

function withDefaults(options: ParkedKeysOptions): Required<ParkedKeysOptions> {
  const { store, scope = "parked-keys", limit = 1_000, retention = 14 * 86_400_000, clock = systemClock } = options;
  if (typeof store?.scope !== "function") throw invalidOption("parkedKeys", "store", store, "an EventStore");
  if (typeof scope !== "string") throw invalidOption("parkedKeys", "scope", scope, "a string");
  if (!Number.isInteger(limit) || limit < 1) throw invalidOption("parkedKeys", "limit", limit, "a whole number from 1");
  if (!(retention > 0 && retention < Infinity)) throw invalidOption("parkedKeys", "retention", retention, "milliseconds above 0");
  if (!store.features.compareAndSet) throw notComparing();
  return { store: store.scope(scope), scope, limit, retention, clock };
}

function requireRoom({ key, waiting }: KeyQueue, id: string, limit: number): void {
  if (waiting.length < limit) return;
  throw new EventDriverError("ERR_OVERLOADED", {
    message: `message ${quote(id)} was not put aside: ${waiting.length} messages of key ${quote(key)} wait already; redrive the key, or raise the limit of parkedKeys`,
    retryable: true,
  });
}

function waitsBehind({ id, key }: AnyMessage, first: string | undefined): EventDriverError {
  const whom = first === undefined ? "another one" : quote(first);
  return new EventDriverError("ERR_KEY_PARKED", {
    message: `message ${quote(id)} waits behind ${whom} of key ${quote(key)}, which was put aside; redrive the key`,
    retryable: true,
  });
}

function notComparing(): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message:
      "parkedKeys: the store cannot compare and set, which the order of a key needs; give one that can, such as sqliteEventStore({ file })",
    retryable: false,
  });
}
