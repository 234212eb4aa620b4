import { expect, test } from "vitest";

import { idempotency, type IdempotencyOptions } from "../../../src/handlers/idempotency/idempotency.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { withoutCompareAndSet } from "../../claims/plain-store.ts";

const refused: readonly (readonly [keyof IdempotencyOptions, Partial<IdempotencyOptions>, string])[] = [
  ["lease", { lease: 0 }, "idempotency: lease is 0, allowed is milliseconds above 0"],
  ["lease", { lease: Infinity }, "idempotency: lease is Infinity, allowed is milliseconds above 0"],
  ["wait", { wait: -1 }, "idempotency: wait is -1, allowed is milliseconds from 0"],
  ["retention", { retention: NaN }, "idempotency: retention is NaN, allowed is milliseconds from 0"],
  ["maxAttempts", { maxAttempts: 1.5 }, "idempotency: maxAttempts is 1.5, allowed is a whole number from 1"],
  ["skewAllowance", { skewAllowance: -5 }, "idempotency: skewAllowance is -5, allowed is milliseconds from 0"],
];

test.for(refused)("a bad %s is refused with what was given and what is allowed", ([_option, options, message]) => {
  const create = (): unknown => idempotency({ store: memoryEventStore(), ...options });

  expect(create).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false, message }));
});

test("options that were refused leave the scope free", () => {
  const store = memoryEventStore();
  expect(() => idempotency({ store, lease: -1 })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));

  expect(() => idempotency({ store })).not.toThrow();
});

test("a store that cannot compare and set is refused with what to give instead", () => {
  const store = withoutCompareAndSet(memoryEventStore());

  expect(() => idempotency({ store })).toThrow(
    expect.objectContaining({
      code: "ERR_UNSUPPORTED",
      message: expect.stringContaining("idempotency({ store: sqliteEventStore({ file }) })"),
    }),
  );
});

test("two idempotencies on one store and scope are refused, and a scope of its own helps", () => {
  const store = memoryEventStore();
  idempotency({ store });

  expect(() => idempotency({ store })).toThrow(
    expect.objectContaining({
      code: "ERR_SCOPE_TAKEN",
      message: 'idempotency: scope "idempotency" of this store already belongs to another idempotency; give one of them a scope of its own',
    }),
  );
  expect(() => idempotency({ store, scope: "payments" })).not.toThrow();
});
