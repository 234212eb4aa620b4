import { expect, test } from "vitest";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { joiner, type JoinerOptions } from "../../../src/handlers/joiner/joiner.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { withoutCompareAndSet } from "../../claims/plain-store.ts";

const condition = matchAll("event1");

const refused: readonly (readonly [string, Partial<JoinerOptions>, string])[] = [
  ["window size", { window: { size: 0 } }, "joiner: window.size is 0, allowed is milliseconds above 0"],
  ["window without an end", { window: { size: Infinity } }, "joiner: window.size is Infinity, allowed is milliseconds above 0"],
  ["grace", { window: { size: 1, grace: -1 } }, "joiner: window.grace is -1, allowed is milliseconds from 0"],
  ["retention", { retention: -1 }, "joiner: retention is -1, allowed is milliseconds from 0"],
  ["sweepLimit", { sweepLimit: 0 }, "joiner: sweepLimit is 0, allowed is a whole number from 1"],
  ["lease", { lease: NaN }, "joiner: lease is NaN, allowed is milliseconds above 0"],
  ["wait", { wait: -1 }, "joiner: wait is -1, allowed is milliseconds from 0"],
  ["maxAttempts", { maxAttempts: 0 }, "joiner: maxAttempts is 0, allowed is a whole number from 1"],
];

test.for(refused)(
  "a bad %s is refused with what was given and what is allowed, and leaves the scope free",
  ([_option, options, message]) => {
    const store = memoryEventStore();

    expect(() => joiner({ store, condition, ...options })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false, message }),
    );
    expect(() => joiner({ store, condition })).not.toThrow();
  },
);

test.for([
  ["condition", { condition: "event1" }, 'joiner: condition is "event1", allowed is one made by matchAll, matchAny or matchNone'],
  ["repeated", { repeated: "newest" }, 'joiner: repeated is "newest", allowed is "last", "first" or "reject"'],
  ["emit", { emit: "often" }, 'joiner: emit is "often", allowed is "once" or "each"'],
  ["store", { store: undefined }, "joiner: store is undefined, allowed is an EventStore"],
  ["claims", { claims: {} }, "joiner: claims is an object, allowed is an EventStore"],
] as const)("from JavaScript, a bad %s is refused with what was given and what is allowed", ([_option, options, message]) => {
  const create = (): unknown => Reflect.apply(joiner, undefined, [{ store: memoryEventStore(), condition, ...options }]);

  expect(create).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", message }));
});

test("a store that cannot compare and set is refused with what to give instead", () => {
  const store = withoutCompareAndSet(memoryEventStore());

  expect(() => joiner({ store, condition })).toThrow(
    expect.objectContaining({
      code: "ERR_UNSUPPORTED",
      retryable: false,
      message: expect.stringContaining("joiner({ claims: sqliteEventStore({ file }) })"),
    }),
  );
});

test("claims that cannot compare and set are refused", () => {
  const claims = withoutCompareAndSet(memoryEventStore());

  expect(() => joiner({ store: memoryEventStore(), claims, condition })).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED" }));
});

test("two joiners on one store and scope are refused, and a scope of its own helps", () => {
  const store = memoryEventStore();
  joiner({ store, condition });

  expect(() => joiner({ store, condition })).toThrow(
    expect.objectContaining({
      code: "ERR_SCOPE_TAKEN",
      message: 'joiner: scope "joiner" of this store already belongs to another joiner; give one of them a scope of its own',
    }),
  );
  expect(() => joiner({ store, condition, emit: "each" })).toThrow(expect.objectContaining({ code: "ERR_SCOPE_TAKEN" }));
  expect(() => joiner({ store, condition, scope: "refunds" })).not.toThrow();
});
