import { eventStoreKit } from "event-driver/testing";
import { describe, expect, test } from "vitest";

import type { BadStore } from "./bad-stores/bad-store.ts";

import { badCalls } from "./bad-stores/bad-calls.ts";
import { badEntries } from "./bad-stores/bad-entries.ts";
import { badHandles } from "./bad-stores/bad-handles.ts";
import { badLists } from "./bad-stores/bad-lists.ts";
import { badMessages } from "./bad-stores/bad-messages.ts";
import { badNames } from "./bad-stores/bad-names.ts";
import { badRevisions } from "./bad-stores/bad-revisions.ts";
import { badScopes } from "./bad-stores/bad-scopes.ts";
import { handle, handlesOf } from "./bad-stores/handles.ts";

const features = { compareAndSet: true, clock: true };
const badStores: readonly BadStore[] = [
  ...badNames,
  ...badMessages,
  ...badEntries,
  ...badRevisions,
  ...badLists,
  ...badScopes,
  ...badCalls,
  ...badHandles,
];

describe("the kit catches a store in which", () => {
  test.each(badStores.flatMap(({ caughtBy, ...store }) => caughtBy.map((title) => ({ ...store, title }))))(
    "$flaw, by: $title",
    async (store) => {
      const run = kitTestsOf(store).get(store.title);

      const failure = await run?.().then(
        () => "the test passed",
        (reason: unknown) => reason,
      );

      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(TypeError);
    },
  );
});

test("every test of the kit catches a bad store", () => {
  const caught = new Set(badStores.flatMap(({ caughtBy }) => caughtBy));

  const titles = [...kitTestsOf({ open, hooks }).keys()];

  expect(titles.filter((title) => !caught.has(title))).toEqual([]);
});

const { open, hooks } = handlesOf((data) => handle(data));

// What the bad stores are made of is good: the kit finds nothing in it.
eventStoreKit({ ...hooks, test, features, open });

function kitTestsOf({ open, hooks }: Pick<BadStore, "open" | "hooks">): ReadonlyMap<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  eventStoreKit({ ...hooks, test: (title, run) => tests.set(title, run), features, open, patience: 20 });
  return tests;
}
