import fc from "fast-check";
import { expect, test } from "vitest";

import type { Connection } from "../../src/streams/index.ts";

import { TerminalError } from "../../src/errors.ts";
import { sleep } from "../../src/clock.ts";
import { order, streamsBench } from "./bench.ts";

const keys = ["a", "b", "c"];

/** What is done to one worker, after some time. */
const events = fc.array(
  fc.record({
    after: fc.integer({ min: 0, max: 400 }),
    worker: fc.integer({ min: 0, max: 2 }),
    what: fc.constantFrom("kill", "close", "close at once"),
  }),
  { maxLength: 8 },
);

/** How the handler takes each attempt: how long, and whether it fails. */
const behaviours = fc.array(fc.record({ takes: fc.integer({ min: 0, max: 50 }), fails: fc.constantFrom(false, false, true) }), {
  minLength: 1,
  maxLength: 20,
});

test("whatever dies, closes and fails: nothing is lost, and one key is done in order", async () => {
  await fc.assert(
    fc.asyncProperty(events, behaviours, fc.integer({ min: 1, max: 24 }), async (plan, behaviour, count) => {
      const { clock, connect, kill } = streamsBench();
      const publisher = connect();
      const firstDone: string[] = [];
      const workers: Connection[] = [];
      let tries = 0;
      const start = async (worker: number): Promise<void> => {
        const connection = connect();
        workers[worker] = connection;
        await connection.subscribe(
          "orders",
          async (ctx, { id }) => {
            const { takes = 0, fails = false } = behaviour[(tries += 1) % behaviour.length] ?? {};
            await sleep(clock, takes, ctx.signal);
            if (fails && tries < 200) throw new Error("not yet");
            if (!firstDone.includes(id)) firstDone.push(id);
          },
          { name: "workers", timeout: 100, maxInFlight: 6, concurrency: 2, retry: { delays: (attempt) => attempt * 10 } },
        );
      };
      await publisher.pull("orders", { name: "workers", maxInFlight: 1 }).then((first) => first.close());
      for (const worker of [0, 1, 2]) await start(worker);
      const messages = Array.from({ length: count }, (_, index) => order(String(index), keys[index % keys.length]));
      await publisher.publishBatch("orders", messages);

      for (const { after, worker, what } of plan) {
        await clock.advance(after);
        const connection = workers[worker];
        if (connection === undefined) continue;
        const ended = what === "kill" ? kill(connection) : connection.close({ limit: what === "close" ? 1_000 : 0 });
        await start(worker);
        void ended;
      }
      await clock.advance(600_000);

      expect([...firstDone].sort()).toEqual(messages.map(({ id }) => id).sort());
      for (const key of keys) {
        const inOrder = messages.filter((message) => message.key === key).map(({ id }) => id);
        expect(firstDone.filter((id) => inOrder.includes(id))).toEqual(inOrder);
      }
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test("with a dead-letter stream every message ends in exactly one place", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("done", "fails once", "fails", "terminal"), { minLength: 1, maxLength: 40 }),
      async (fates) => {
        const { clock, connection } = streamsBench();
        const done: string[] = [];
        const dead: string[] = [];
        await connection.subscribe("dead", async (_ctx, { id }) => void dead.push(id));
        await connection.subscribe(
          "orders",
          async (ctx, { id }) => {
            const fate = fates[Number(id)];
            if (fate === "terminal") throw new TerminalError("cancelled");
            if (fate === "fails" || (fate === "fails once" && ctx.attempt === 1)) throw new Error("not yet");
            done.push(id);
          },
          { deadLetter: "dead", retry: { delays: [10, 20] } },
        );

        await connection.publishBatch(
          "orders",
          fates.map((_, index) => order(String(index), keys[index % keys.length])),
        );
        await clock.advance(600_000);

        const [expectedDone, expectedDead] = [fates.flatMap(idsOf("done", "fails once")), fates.flatMap(idsOf("fails", "terminal"))];
        expect([done.sort(), dead.sort()]).toEqual([expectedDone.sort(), expectedDead.sort()]);
      },
    ),
    { numRuns: 100 },
  );
});

function idsOf(...wanted: readonly string[]): (fate: string, index: number) => readonly string[] {
  return (fate, index) => (wanted.includes(fate) ? [String(index)] : []);
}
