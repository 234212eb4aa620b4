import assert from "node:assert/strict";
import { setImmediate } from "node:timers";

import type { EventStore, ListDueOptions, PersistOptions } from "../../stores/event-store.ts";

import { isRevisionConflict } from "../../errors.ts";
import { createMessage, type Message, type StorableContent } from "../../message.ts";

/** What a test may need beyond the members that every store has. */
export type Need = "compareAndSet" | "clock" | "openAnother" | "holdUp" | "removeExpired";

/** One sentence of the port, and how to find out whether a store keeps it. */
export interface KitTest {
  readonly title: string;
  readonly needs?: readonly Need[];
  readonly run: (bench: Bench) => Promise<void>;
}

/** What one test works on. */
export interface Bench {
  /** Fresh and empty. */
  readonly store: EventStore;
  /** Epoch milliseconds, as the store reads them. */
  readonly now: () => number;
  /** How long, in milliseconds, something may take that must happen. */
  readonly patience: number;
  /** A further handle on the same data. */
  readonly openAnother: () => Promise<EventStore>;
  /** Makes writes wait until what it returns is called. */
  readonly holdUp: () => Promise<() => unknown>;
  /** Has the store remove what it may remove. */
  readonly removeExpired: () => Promise<void>;
}

/** A message to store where only its key, its source and its content matter. */
export function sample(key: string, source: string, content: StorableContent = "content"): Message {
  return createMessage({ id: "sample", key, source, content });
}

/** The content that is stored, or `undefined` when there is no entry. */
export async function contentOf(store: EventStore, key: string, source: string): Promise<StorableContent | undefined> {
  return (await store.lookUp(key, source))?.message.content;
}

/** Persists several entries, one after the other. */
export async function persistAll(
  store: EventStore,
  entries: readonly (readonly [key: string, source: string, options?: PersistOptions])[],
): Promise<void> {
  for (const [key, source, options] of entries) await store.persist(sample(key, source), options);
}

/** The keys of all pages, in the order they came. */
export async function allKeys(store: EventStore, limit: number): Promise<readonly string[]> {
  const keys: string[] = [];
  for (;;) {
    const after = keys.at(-1);
    const page = await store.listKeys({ limit, ...(after !== undefined && { after }) });
    checkPage(page.length, limit, keys.length);
    if (page.length === 0) return keys;
    keys.push(...page);
  }
}

/** The due entries of all pages as `[dueAt, key, source]`, in the order they came. */
export async function allDue(
  store: EventStore,
  { before, limit }: ListDueOptions,
): Promise<readonly (readonly [dueAt: number, key: string, source: string])[]> {
  const entries: [number, string, string][] = [];
  for (;;) {
    const [dueAt, key, source] = entries.at(-1) ?? [];
    const isFirst = dueAt === undefined || key === undefined || source === undefined;
    const page = await store.listDue({ before, limit, ...(!isFirst && { after: { dueAt, key, source } }) });
    checkPage(page.length, limit, entries.length);
    if (page.length === 0) return entries;
    entries.push(...page.map((entry): [number, string, string] => [entry.dueAt, entry.key, entry.source]));
  }
}

/** Adds 1 to the number that is stored for key "counter", so many times, each by compare-and-set. */
export async function increment(store: EventStore, times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const entry = await store.lookUp("counter", "event1");
    assert.ok(entry !== undefined, "the counter is there");
    const next = sample("counter", "event1", String(Number(entry.message.content) + 1));
    const [outcome] = await Promise.allSettled([store.persist(next, { expected: entry.revision })]);
    if (outcome.status === "fulfilled") done += 1;
    else if (!isRevisionConflict(outcome.reason)) throw outcome.reason;
  }
}

/** Compares what came in no promised order. */
export function assertSameSet<Item>(actual: readonly Item[], expected: readonly Item[], what: string): void {
  const sorted = (items: readonly Item[]): readonly string[] => items.map((item) => JSON.stringify(item)).sort();
  assert.deepEqual(sorted(actual), sorted(expected), what);
}

/** Compares every part of two messages. A part that is absent in one must be absent in the other. */
export function assertSameMessage(actual: Message | undefined, expected: Message): void {
  assert.ok(actual !== undefined, "the message is not there");
  assert.deepEqual(comparable(actual), comparable(expected));
  assert.equal(Object.getPrototypeOf(actual.attributes), null, "attributes have no prototype");
}

/** Why a call was rejected; fails when it was not. */
export async function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => assert.fail("the call resolved where it must reject"),
    (reason: unknown) => reason,
  );
}

/** Fails unless the call was rejected because of the revision it expected. */
export async function assertConflict(call: Promise<unknown>, what: string): Promise<void> {
  const [outcome] = await Promise.allSettled([call]);
  assert.ok(outcome.status === "rejected", `${what}: the call resolved where it must reject with ERR_REVISION_CONFLICT`);
  if (!isRevisionConflict(outcome.reason)) throw outcome.reason;
}

/** What a call rejects or resolves with, or `"still waiting"` when it has done neither in time. */
export async function outcomeOf(call: Promise<unknown>, patience: number): Promise<PromiseSettledResult<unknown> | "still waiting"> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<"still waiting">((resolve) => {
    timer = setTimeout(resolve, patience, "still waiting");
  });
  const settled = Promise.allSettled([call]).then(([outcome]) => outcome);
  return Promise.race([settled, waited]).finally(() => clearTimeout(timer));
}

/** One turn of the event loop, in which every promise that can go on does. */
export function oneTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Stops paging that does not come to an end. */
function checkPage(length: number, limit: number, soFar: number): void {
  assert.ok(length <= limit, `a page of at most ${limit} holds ${length}`);
  assert.ok(soFar + length < 10_000, "the pages come to no end");
}

function comparable(message: Message): object {
  const { content, attributes, ...parts } = message;
  return {
    ...parts,
    content: typeof content === "string" ? content : { bytes: Buffer.from(content).toString("hex") },
    attributes: Object.entries(attributes).sort(([one], [other]) => (one < other ? -1 : 1)),
  };
}
