import assert from "node:assert/strict";

import type { Bench, KitTest } from "./kit-test.ts";

import { everyHostileString, hostileStrings } from "./hostile-strings.ts";
import { allKeys, assertSameMessage, assertSameSet, contentOf, persistAll, sample } from "./kit-test.ts";

export const keyTests: readonly KitTest[] = [
  ...Object.entries(hostileStrings).map(([what, texts]) => ({
    title: `any string is a key or a source, the empty one included: ${what}`,
    run: (bench: Bench) => keepsApart(bench, texts),
  })),
  {
    title: "no key can reach another's entries",
    async run({ store }) {
      await persistAll(
        store,
        everyHostileString.map((key) => [key, `source of ${key}`]),
      );

      for (const key of everyHostileString) {
        assert.deepEqual(await store.listSourcesByKey(key), [`source of ${key}`]);
        assert.deepEqual(
          (await store.lookUpByKey(key)).map(({ message }) => message.key),
          [key],
        );
      }
    },
  },
  {
    title: "no key can reach another's entries: where one ends and the source begins",
    async run({ store }) {
      const separators = ["", "/", ".", ":", "|", "#", "\0", "\n", " ", ",", "%2F", '","'];
      const pairs = separators.flatMap((separator): [string, string][] => [
        [`a${separator}b`, "c"],
        ["a", `b${separator}c`],
        [`a${separator}`, `${separator}c`],
      ]);

      for (const [key, source] of pairs) await store.persist(sample(key, source, JSON.stringify([key, source])));

      for (const [key, source] of pairs) assert.equal(await contentOf(store, key, source), JSON.stringify([key, source]));
    },
  },
];

/** Every text as a key with every text as a source: each entry is found under its own names, and removed alone. */
async function keepsApart({ store }: Bench, texts: readonly string[]): Promise<void> {
  const pairs = texts.flatMap((key) => texts.map((source): [string, string] => [key, source]));
  for (const [key, source] of pairs) await store.persist(sample(key, source, JSON.stringify([key, source])));

  for (const [key, source] of pairs) {
    assertSameMessage((await store.lookUp(key, source))?.message, sample(key, source, JSON.stringify([key, source])));
  }
  for (const key of texts) assertSameSet(await store.listSourcesByKey(key), texts, `the sources of key ${JSON.stringify(key)}`);
  assertSameSet(await allKeys(store, 3), texts, "all keys");

  const [first = ""] = texts;
  await store.remove(first, first);
  assert.equal(await store.lookUp(first, first), undefined, "the removed entry is gone");
  const left = await Promise.all(pairs.map(async ([key, source]) => (await contentOf(store, key, source)) !== undefined));
  assert.equal(left.filter(Boolean).length, pairs.length - 1, "entries left when one was removed");
}
