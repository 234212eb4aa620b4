import { expect, test } from "vitest";

import type { Target } from "../../src/streams/index.ts";

import { TerminalError } from "../../src/errors.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { gate, order, streamsBench } from "./bench.ts";

test("messages are handed over together: as many as size, or what there is after wait", async () => {
  const { connection, clock } = streamsBench();
  const batches: string[][] = [];
  await connection.subscribe("orders", recording(batches), { batch: { size: 3, wait: 1_000 } });

  await connection.publishBatch(
    "orders",
    ["1", "2", "3", "4"].map((id) => order(id, id)),
  );
  await clock.advance(0);
  expect(batches).toEqual([["1", "2", "3"]]);
  await clock.advance(999);
  expect(batches).toHaveLength(1);
  await clock.advance(1);

  expect(batches).toEqual([["1", "2", "3"], ["4"]]);
  expect(connection.status().subscriptions[0]?.inFlight).toBe(0);
});

test("with order by key a batch has one message of each key, without an order it has any", async () => {
  const { connection, clock } = streamsBench();
  const ordered: string[][] = [];
  const unordered: string[][] = [];
  const batch = { size: 10, wait: 100 };
  await connection.subscribe("orders", recording(ordered), { batch });
  await connection.subscribe("orders", recording(unordered), { name: "any", order: "none", batch });

  await connection.publishBatch("orders", [order("a1", "a"), order("a2", "a"), order("b1", "b")]);
  await clock.advance(1_000);

  expect(ordered).toEqual([["a1", "b1"], ["a2"]]);
  expect(unordered).toEqual([["a1", "a2", "b1"]]);
});

test("each message of a batch is settled by itself", async () => {
  const { connection, clock } = streamsBench();
  const done: string[] = [];
  const dead: string[] = [];
  const orders = pipeline().use(async (ctx, { id }) => {
    if (id === "dead") throw new TerminalError("cancelled");
    if (id === "late" && ctx.attempt === 1) throw new Error("not yet");
    done.push(id);
  });
  await connection.subscribe("dead", async (_ctx, { id }) => void dead.push(id));
  await connection.subscribe("orders", orders, { batch: { size: 3, wait: 0 }, retry: { delays: [1_000] }, deadLetter: "dead" });

  await connection.publishBatch("orders", [order("ok", "a"), order("late", "b"), order("dead", "c")]);
  await clock.advance(0);
  expect([done, dead]).toEqual([["ok"], ["dead"]]);
  await clock.advance(1_000);

  expect(done).toEqual(["ok", "late"]);
});

test("a batch that fails as a whole, or settles too little, fails each of its messages", async () => {
  const { connection, clock } = streamsBench();
  let calls = 0;
  const flaky: Target = {
    process: () => Promise.reject(new Error("not called")),
    processBatch: async (_ctx, messages) => {
      calls += 1;
      if (calls === 1) throw new Error("the table is gone");
      if (calls === 2) return [];
      return messages.map(() => ({ status: "done", reply: undefined, ended: undefined }));
    },
  };
  const codes: unknown[] = [];
  connection.on("failure", ({ error }) => codes.push(error instanceof Error && error.message));
  await connection.subscribe("orders", flaky, { batch: { size: 1, wait: 0 }, retry: { delays: [10, 10] } });

  await connection.publish("orders", order("1"));
  await clock.advance(1_000);

  expect(calls).toBe(3);
  expect(codes).toEqual(["the table is gone", expect.stringContaining("no settlement")]);
});

test("close works on what was collected, at once", async () => {
  const { connection, settle } = streamsBench();
  const batches: string[][] = [];
  await connection.subscribe("orders", recording(batches), { batch: { size: 10, wait: 3_600_000 } });
  await connection.publish("orders", order("1"));
  await settle();

  await connection.close();

  expect(batches).toEqual([["1"]]);
});

test("close works on all that was collected, in batches, while one is being worked on", async () => {
  const { connection, settle } = streamsBench();
  const { opened, open } = gate();
  const batches: string[][] = [];
  await connection.subscribe("orders", recording(batches, opened), { batch: { size: 2, wait: 3_600_000 } });
  await connection.publishBatch(
    "orders",
    ["1", "2", "3", "4", "5"].map((id) => order(id, id)),
  );
  await settle();

  const closing = connection.close();
  open();
  await closing;

  expect(batches).toEqual([["1", "2"], ["3", "4"], ["5"]]);
});

test("while one batch is worked on the next one is collected, and never two are worked on", async () => {
  const { connection, settle } = streamsBench();
  const { opened, open } = gate();
  const batches: string[][] = [];
  await connection.subscribe("orders", recording(batches, opened), { batch: { size: 2, wait: 0 } });

  await connection.publishBatch(
    "orders",
    ["1", "2", "3", "4", "5"].map((id) => order(id, id)),
  );
  await settle();
  expect(batches).toEqual([["1", "2"]]);
  open();
  await settle();

  expect(batches).toEqual([["1", "2"], ["3", "4"], ["5"]]);
});

function recording(batches: string[][], opened: Promise<void> = Promise.resolve()): Target {
  return {
    process: () => Promise.reject(new Error("not called")),
    async processBatch(_ctx, messages) {
      batches.push(messages.map(({ id }) => id));
      await opened;
      return messages.map(() => ({ status: "done", reply: undefined, ended: undefined }));
    },
  };
}
