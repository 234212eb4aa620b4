import fc from "fast-check";
import { expect, test } from "vitest";

import type { ClaimContext } from "../../src/claims/guard.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";
import { virtualClock } from "../../src/testing/virtual-clock.ts";
import { deliver, event, failureOf } from "./deliver.ts";
import { workerOn } from "./worker.ts";

const order = event("orders");

test("a step gives what its body returned", async () => {
  const results: unknown[] = [];
  const { orders, clock } = setUp(async (ctx) => void results.push(await ctx.step("charge", async () => ({ receipt: 7 }))));

  await deliver(orders, clock, order);

  expect(results).toEqual([{ receipt: 7 }]);
});

test("a step that has a result is not run again when the message is", async () => {
  let charges = 0;
  const receipts: number[] = [];
  const { orders, clock } = setUp(async (ctx) => {
    receipts.push(await ctx.step("charge", () => (charges += 1)));
    if (receipts.length === 1) throw new Error("shipping is down");
  });
  await failureOf(deliver(orders, clock, order));

  await deliver(orders, clock, order);

  expect(receipts).toEqual([1, 1]);
  expect(charges).toBe(1);
});

test("a step that has a result is not run again after a crash", async () => {
  const { store, clock } = setUp(async () => {});
  const charged: string[] = [];
  const dying = workerOn(store);
  const before = ordersOn(dying.store, async (ctx) => {
    await ctx.step("charge", () => void charged.push("before the crash"));
    dying.crash();
    await ctx.step("ship", () => "never recorded");
  });
  const after = ordersOn(workerOn(store).store, async (ctx) => {
    await ctx.step("charge", () => void charged.push("after the crash"));
  });
  void deliver(before, clock, order);
  await clock.advance(10_000);

  await deliver(after, clock, order);

  expect(charged).toEqual(["before the crash"]);
});

test("a step that failed has no result and is run again", async () => {
  let charges = 0;
  const { orders, clock } = setUp(async (ctx) => {
    await ctx.step("charge", () => {
      charges += 1;
      if (charges === 1) throw new Error("card service is down");
    });
  });

  const refusal = await failureOf(deliver(orders, clock, order));
  await deliver(orders, clock, order);

  expect(refusal).toMatchObject({ message: expect.stringContaining("card service is down") });
  expect(charges).toBe(2);
});

test("steps that run side by side all keep their results", async () => {
  const runs: string[] = [];
  let attempt = 0;
  const { orders, clock } = setUp(async (ctx) => {
    attempt += 1;
    await Promise.all(["a", "b", "c", "d"].map((name) => ctx.step(name, () => void runs.push(name))));
    if (attempt === 1) throw new Error("sink down");
  });
  await failureOf(deliver(orders, clock, order));

  await deliver(orders, clock, order);

  expect(runs).toEqual(["a", "b", "c", "d"]);
});

test("a stored result is given back as JSON has it, the same in the first run and later ones", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ stringUnit: "binary-ascii" }), async (value) => {
      const results: unknown[] = [];
      const { orders, clock } = setUp(async (ctx) => {
        results.push(await ctx.step("look", () => value));
        if (results.length === 1) throw new Error("again");
      });
      await failureOf(deliver(orders, clock, order));

      await deliver(orders, clock, order);

      const asJson: unknown = JSON.parse(JSON.stringify(value));
      expect(results).toEqual([asJson, asJson]);
    }),
    { numRuns: 20 },
  );
});

test.for([
  ["undefined", undefined],
  ["null", null],
  ["an empty string", ""],
  ["zero", 0],
  ["false", false],
] as const)("%s is a result like any other", async ([_name, value]) => {
  let runs = 0;
  const results: unknown[] = [];
  const { orders, clock } = setUp(async (ctx) => {
    results.push(
      await ctx.step("look", () => {
        runs += 1;
        return value;
      }),
    );
    if (results.length === 1) throw new Error("again");
  });
  await failureOf(deliver(orders, clock, order));

  await deliver(orders, clock, order);

  expect(results).toEqual([value, value]);
  expect(runs).toBe(1);
});

test.for(["__proto__", "constructor", "toString", ""])("a step may be called %j", async (name) => {
  let runs = 0;
  const { orders, clock } = setUp(async (ctx) => {
    await ctx.step("an ordinary one", () => {});
    await ctx.step(name, () => void (runs += 1));
    if (ctx.attempt === 1) throw new Error("again");
  });
  await failureOf(deliver(orders, clock, order));

  await deliver(orders, clock, order, { attempt: 2 });

  expect(runs).toBe(1);
});

test("a step whose input is another than when its result was stored fails for good", async () => {
  let total = 10;
  const { orders, clock } = setUp(async (ctx) => {
    await ctx.step("charge", () => "receipt", { input: { total } });
    if (ctx.attempt === 1) throw new Error("sink down");
  });
  await failureOf(deliver(orders, clock, order));
  total = 11;

  const refusal = await failureOf(deliver(orders, clock, order, { attempt: 2 }));

  expect(refusal).toMatchObject({
    code: "ERR_STEP_CHANGED",
    retryable: false,
    message: expect.stringContaining('step "charge" of message "orders-a"'),
  });
});

test("a step with the input it was stored with is given its result", async () => {
  let runs = 0;
  const { orders, clock } = setUp(async (ctx) => {
    await ctx.step("charge", () => void (runs += 1), { input: { total: 10, lines: ["a"] } });
    if (ctx.attempt === 1) throw new Error("sink down");
  });
  await failureOf(deliver(orders, clock, order));

  await deliver(orders, clock, order, { attempt: 2 });

  expect(runs).toBe(1);
});

test("a name used twice in one run fails for good, and the second body is not run", async () => {
  const runs: string[] = [];
  const { orders, clock } = setUp(async (ctx) => {
    await ctx.step("charge", () => void runs.push("first"));
    await ctx.step("charge", () => void runs.push("second"));
  });

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({
    code: "ERR_STEP_CHANGED",
    retryable: false,
    message: expect.stringContaining("is used twice in one run"),
  });
  expect(runs).toEqual(["first"]);
});

test("a result that JSON cannot hold fails for good and names the step", async () => {
  const { orders, clock } = setUp(async (ctx) => void (await ctx.step("count", () => 12n)));

  const refusal = await failureOf(deliver(orders, clock, order));

  expect(refusal).toMatchObject({ code: "ERR_TERMINAL", retryable: false, message: expect.stringContaining('step "count"') });
});

test("a stale owner's step does not run once it has learned that its lease is lost", async () => {
  const { store, clock } = setUp(async () => {});
  const work = Promise.withResolvers<void>();
  const ran: string[] = [];
  const stale = workerOn(store);
  const refusal = failureOf(
    deliver(
      ordersOn(stale.store, async (ctx) => {
        await work.promise;
        await ctx.step("charge", () => void ran.push("stale"));
      }),
      clock,
      order,
    ),
  );
  await clock.advance(0);
  const resume = stale.holdNext(({ operation }) => operation === "persist");
  await clock.advance(10_000);
  await deliver(
    ordersOn(workerOn(store).store, async (ctx) => ctx.step("charge", () => void ran.push("new"))),
    clock,
    order,
  );

  resume();
  work.resolve();
  await clock.advance(0);

  expect(await refusal).toMatchObject({ code: "ERR_LEASE_LOST" });
  expect(ran).toEqual(["new"]);
});

test("a stale owner cannot store a result over its successor's", async () => {
  const { store, clock } = setUp(async () => {});
  const work = Promise.withResolvers<string>();
  const stale = workerOn(store);
  const refusal = failureOf(
    deliver(
      ordersOn(stale.store, async (ctx) => void (await ctx.step("charge", () => work.promise))),
      clock,
      order,
    ),
  );
  await clock.advance(0);
  const resume = stale.holdNext(({ operation }) => operation === "persist");
  await clock.advance(10_000);
  const results: unknown[] = [];
  const successor = ordersOn(workerOn(store).store, async (ctx) => {
    results.push(await ctx.step("charge", () => "by the successor"));
    if (ctx.attempt === 1) throw new Error("sink down");
  });
  await failureOf(deliver(successor, clock, order));

  work.resolve("by the stale owner");
  resume();
  await clock.advance(0);
  await deliver(successor, clock, order, { attempt: 2 });

  expect(await refusal).toMatchObject({ code: "ERR_LEASE_LOST" });
  expect(results).toEqual(["by the successor", "by the successor"]);
});

test("a step renews a lease that has run out before its body runs", async () => {
  const { store, clock } = setUp(async () => {});
  const worker = workerOn(store);
  const work = Promise.withResolvers<void>();
  const ran: number[] = [];
  const delivery = deliver(
    ordersOn(worker.store, async (ctx) => {
      await work.promise;
      await ctx.step("charge", () => void ran.push(clock.now()));
    }),
    clock,
    order,
  );
  await clock.advance(0);
  const renewal = worker.holdNext(({ operation }) => operation === "persist");
  await clock.advance(10_000);
  work.resolve();
  await clock.advance(0);
  const ranBefore = ran.length;

  renewal();
  await clock.advance(0);

  expect((await delivery).ended).toBeUndefined();
  expect(ranBefore).toBe(0);
  expect(ran).toEqual([10_000]);
});

type Handle = (ctx: ClaimContext & { readonly attempt: number }) => Promise<void>;

function setUp(handle: Handle) {
  const clock = virtualClock();
  const store = memoryEventStore({ clock });
  return { clock, store, orders: ordersOn(store, handle) };
}

function ordersOn(store: EventStore, handle: Handle): Processor {
  return pipeline()
    .use(idempotency({ store, wait: 0 }))
    .use(handle);
}
