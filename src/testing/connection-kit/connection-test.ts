import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";

import type { Context } from "../../context.ts";
import type { Connection, ConnectionFeatures, PullDelivery, PullSubscription } from "../../streams/connection.ts";

import { isEventDriverError } from "../../errors.ts";
import { createMessage, type Message, type StorableContent } from "../../message.ts";

/** What a test may need beyond what every connection has. */
export type ConnectionNeed =
  | "openAnother"
  | "crash"
  | "outage"
  | "poison"
  | "durable"
  | "transient"
  | "backfillAll"
  | "backfillTime"
  | "backfillPosition"
  | "reset"
  | "serial"
  | "keyOrder"
  | "groupOrder"
  | "ackWait"
  | "extension"
  | "delay"
  | "attempts"
  | "expiry";

/** One sentence of the contracts, and how to find out whether a connection keeps it. */
export interface ConnectionTest {
  readonly title: string;
  readonly needs?: readonly ConnectionNeed[];
  readonly run: (bench: ConnectionBench) => Promise<void>;
}

/** What one test works on. */
export interface ConnectionBench {
  readonly connection: Connection;
  readonly features: ConnectionFeatures;
  /** A stream that nobody has used. */
  readonly stream: string;
  /** A further one. */
  readonly newStream: (beginning?: string) => Promise<string>;
  /** How long, in milliseconds, something may take that must happen. */
  readonly patience: number;
  /** Milliseconds that the broker can keep. */
  readonly ackWait: number;
  /** Milliseconds that the broker can keep. */
  readonly delay: number;
  /** How many messages a long queue has. */
  readonly queued: number;
  /** Waits for a condition; fails when it does not come true in time. */
  readonly until: (what: string, isSo: () => boolean) => Promise<void>;
  /** A further connection to the same broker. */
  readonly openAnother: () => Promise<Connection>;
  /** Ends a connection as with its process. */
  readonly crash: (connection: Connection) => Promise<void>;
  /** Takes the broker out of reach until what this gives is called. */
  readonly outage: () => Promise<() => Promise<void>>;
  /** Puts a record into the stream that is no message. */
  readonly poison: (stream: string) => Promise<void>;
}

/** A message where only its id, its key and its content matter. */
export function sample(id: string, key: string = "order-1", content: StorableContent = `content of ${id}`): Message {
  return createMessage({ id, key, source: "kit", content });
}

/** So many messages over so many keys: those of one key are in the order of their numbers. */
export function samples(count: number, keys: number): readonly Message[] {
  return Array.from({ length: count }, (_, index) => sample(String(index), `order-${index % keys}`));
}

/** Publishes all of them and fails when one was not. */
export async function publishAll(connection: Connection, stream: string, messages: readonly Message[]): Promise<void> {
  for (const settlement of await connection.publishBatch(stream, messages)) {
    if (settlement.status === "failed") throw settlement.error;
  }
}

/** What a handler was given. */
export interface Receipt {
  readonly message: Message;
  readonly attempt: number;
  /** Milliseconds, to compare with others. */
  readonly at: number;
}

/** Keeps what its handler is given. */
export interface Recorder {
  readonly receipts: readonly Receipt[];
  /** The ids in the order they came, each as often as it did. */
  readonly ids: () => readonly string[];
  readonly handle: (ctx: Context, message: Message) => Promise<void>;
}

export function recorder(then: (ctx: Context, message: Message) => unknown = () => undefined): Recorder {
  const receipts: Receipt[] = [];
  return {
    receipts,
    ids: () => receipts.map(({ message }) => message.id),
    async handle(ctx, message) {
      receipts.push({ message, attempt: ctx.attempt, at: performance.now() });
      await then(ctx, message);
    },
  };
}

/** Resolves after real time: brokers know no other. */
export function pause(delay: number): Promise<void> {
  return setTimeout(delay);
}

/** Waits for a condition; fails when it does not come true in time. */
export async function until(what: string, patience: number, isSo: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + patience;
  while (!isSo()) {
    assert.ok(performance.now() < giveUpAt, `waited ${patience} ms in vain for this: ${what}`);
    await setTimeout(2);
  }
}

/** The deliveries of a loop; fails when the next one does not come in time. */
export async function* deliveriesOf(subscription: PullSubscription, patience: number): AsyncGenerator<PullDelivery, void> {
  const iterator = subscription[Symbol.asyncIterator]();
  for (;;) {
    const waiting = new AbortController();
    const late = setTimeout(patience, undefined, { signal: waiting.signal }).then(
      () => assert.fail(`waited ${patience} ms in vain for the next delivery`),
      () => undefined,
    );
    const next = await Promise.race([iterator.next(), late]);
    waiting.abort();
    if (next === undefined || next.done) return;
    yield next.value;
  }
}

/** A promise that is settled from outside. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Fails unless the call rejects with an error of this code. */
export async function assertCode(call: Promise<unknown>, code: string, retryable: boolean): Promise<void> {
  const error = await call.then(
    () => assert.fail(`the call resolved where it must reject with ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(isEventDriverError(error), `the error is one of event-driver's: ${String(error)}`);
  assert.deepEqual({ code: error.code, retryable: error.retryable }, { code, retryable });
}
