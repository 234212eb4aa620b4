import assert from "node:assert/strict";

import type { EventStore, PersistOptions } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { allDue, allKeys, assertConflict, assertSameSet, sample } from "./kit-test.ts";
import { type Random, seededRandom } from "./random.ts";

interface Expected {
  readonly key: string;
  readonly source: string;
  readonly content: string;
  readonly revision: string;
  readonly dueAt: number | undefined;
}

export const randomCallTests: readonly KitTest[] = [
  {
    title: "a random sequence of calls answers as one plain map would",
    needs: ["compareAndSet"],
    async run({ store }) {
      const random = seededRandom(2);
      const entries = new Map<string, Expected>();

      for (let step = 0; step < 200; step += 1) {
        const [key, source] = [random.pick(["", "a", "a/b"]), random.pick(["", "b", "event1"])];
        if (random.below(4) === 0) await removeOne(store, entries, random, key, source);
        else await persistOne(store, entries, random, sample(key, source, `content ${step}`));
        if (step % 10 === 0) await assertAnswersAs(store, entries);
      }
    },
  },
];

async function persistOne(
  store: EventStore,
  entries: Map<string, Expected>,
  random: Random,
  message: ReturnType<typeof sample>,
): Promise<void> {
  const { key, source, content } = message;
  const existing = entries.get(nameOf(key, source));
  const expected = random.pick([undefined, "absent", existing?.revision ?? "absent", "no revision"]);
  const dueAt = random.pick([undefined, random.below(5)]);
  const options: PersistOptions = { ...(expected !== undefined && { expected }), ...(dueAt !== undefined && { dueAt }) };

  if (expected !== undefined && expected !== (existing?.revision ?? "absent")) {
    await assertConflict(store.persist(message, options), `persist that expects ${expected}`);
    return;
  }
  const revision = await store.persist(message, options);
  entries.set(nameOf(key, source), { key, source, content: String(content), revision, dueAt });
}

async function removeOne(store: EventStore, entries: Map<string, Expected>, random: Random, key: string, source: string): Promise<void> {
  const existing = entries.get(nameOf(key, source));
  const expected = random.pick([undefined, existing?.revision, "no revision"]);
  const options = expected === undefined ? {} : { expected };

  if (existing !== undefined && expected !== undefined && expected !== existing.revision) {
    await assertConflict(store.remove(key, source, options), `remove that expects ${expected}`);
    return;
  }
  await store.remove(key, source, options);
  entries.delete(nameOf(key, source));
}

async function assertAnswersAs(store: EventStore, entries: ReadonlyMap<string, Expected>): Promise<void> {
  const expected = [...entries.values()];
  const keys = [...new Set(expected.map(({ key }) => key))];
  const found = (await Promise.all(keys.map((key) => store.lookUpByKey(key)))).flat();
  const due = expected.flatMap(({ dueAt, key, source }): [number, string, string][] => (dueAt === undefined ? [] : [[dueAt, key, source]]));

  assertSameSet(
    found.map(({ message: { key, source, content }, revision, dueAt }) => ({ key, source, content, revision, dueAt })),
    expected,
    "all entries",
  );
  assertSameSet(await allKeys(store, 2), keys, "all keys");
  assertSameSet(await allDue(store, { before: 10, limit: 3 }), due, "all due entries");
  for (const { key, source, revision } of expected) assert.equal((await store.lookUp(key, source))?.revision, revision);
}

function nameOf(key: string, source: string): string {
  return JSON.stringify([key, source]);
}
