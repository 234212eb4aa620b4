import assert from "node:assert/strict";

import type { ConnectionTest } from "./connection-test.ts";

import { assertCode, gate, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

export const closeTests: readonly ConnectionTest[] = [
  {
    title: "close of a subscription keeps the position: the next one goes on from there",
    needs: ["durable"],
    async run({ connection, stream, until }) {
      const [first, second] = [recorder(), recorder()];
      const subscription = await connection.subscribe(stream, first.handle);
      await connection.publish(stream, sample("1"));
      await until("the first message is done", () => first.ids().includes("1") && connection.status().subscriptions[0]?.inFlight === 0);
      await subscription.close();
      await connection.publish(stream, sample("2"));
      await pause(30);

      await connection.subscribe(stream, second.handle);
      await until("the second message came", () => second.receipts.length > 0);

      assert.deepEqual([first.ids(), second.ids()], [["1"], ["2"]]);
    },
  },
  {
    title: "unsubscribe forgets the position: the next one begins anew",
    needs: ["durable", "backfillAll"],
    async run({ connection, stream, until }) {
      const [first, second] = [recorder(), recorder()];
      const subscription = await connection.subscribe(stream, first.handle, { backfill: true });
      await connection.publish(stream, sample("1"));
      await until("the message came", () => first.receipts.length > 0);
      await subscription.unsubscribe();

      await connection.subscribe(stream, second.handle, { backfill: true });
      await until("the message came anew", () => second.receipts.length > 0);

      assert.deepEqual(second.ids(), ["1"]);
    },
  },
  {
    title: "unsubscribe leaves the position to others of the name",
    needs: ["durable", "openAnother"],
    async run({ connection, stream, until, openAnother }) {
      const { ids, handle } = recorder();
      const subscription = await connection.subscribe(stream, handle);
      await (await openAnother()).subscribe(stream, handle);

      await subscription.unsubscribe();
      await publishAll(connection, stream, samples(20, 20));

      await until("all messages came", () => new Set(ids()).size === 20);
    },
  },
  {
    title: "close finishes what is being worked on and gives back the rest: nothing is lost, and nothing done twice",
    needs: ["durable", "openAnother"],
    async run({ connection, stream, until, openAnother }) {
      const { ids, handle } = recorder(() => pause(5));
      const done: string[] = [];
      const publisher = await openAnother();
      await connection.subscribe(
        stream,
        async (ctx, message) => {
          await handle(ctx, message);
          done.push(message.id);
        },
        { concurrency: 4 },
      );
      await publishAll(publisher, stream, samples(100, 20));
      await until("some are done", () => done.length >= 10);

      await connection.close();
      assert.deepEqual([...ids()].sort(), [...done].sort(), "what was begun is done when close resolves");
      const rest = recorder();
      await publisher.subscribe(stream, rest.handle);
      await until("the rest came", () => new Set([...done, ...rest.ids()]).size === 100);
      await pause(30);

      assert.equal(done.length + rest.ids().length, 100, "nothing is done twice");
    },
  },
  {
    title: "close waits no longer than its limit, then the signal aborts and the message is delivered again",
    needs: ["durable", "openAnother"],
    async run({ connection, stream, until, openAnother }) {
      const publisher = await openAnother();
      let isAborted = false;
      const hanging = recorder(
        (ctx) =>
          new Promise(() => {
            ctx.signal.addEventListener("abort", () => (isAborted = true));
          }),
      );
      await connection.subscribe(stream, hanging.handle);
      await publisher.publish(stream, sample("1"));
      await until("the handler has begun", () => hanging.receipts.length > 0);

      await connection.close({ limit: 30 });
      assert.equal(isAborted, true);
      const second = recorder();
      await publisher.subscribe(stream, second.handle);

      await until("the message came again", () => second.ids().includes("1"));
    },
  },
  {
    title: "closing one subscription leaves the others",
    async run({ connection, stream, newStream, until }) {
      const [one, other] = [recorder(), recorder()];
      const elsewhere = await newStream();
      const subscription = await connection.subscribe(stream, one.handle);
      await connection.subscribe(elsewhere, other.handle);

      await subscription.close();
      await connection.publish(elsewhere, sample("1"));

      await until("the other subscription goes on", () => other.receipts.length > 0);
      assert.deepEqual(
        connection.status().subscriptions.map((each) => each.stream),
        [elsewhere],
      );
    },
  },
  {
    title: "handlers can publish until the last one has finished",
    needs: ["openAnother"],
    async run({ connection, stream, newStream, until, openAnother }) {
      const [caused, { opened, open }, begun] = [recorder(), gate(), recorder()];
      const [next, other] = [await newStream(), await openAnother()];
      await other.subscribe(next, caused.handle);
      await connection.subscribe(stream, async (ctx, message) => {
        await begun.handle(ctx, message);
        await opened;
        await connection.publish(next, message);
      });
      await connection.publish(stream, sample("1"));
      await until("the handler has begun", () => begun.receipts.length > 0);

      const closing = connection.close();
      open();
      await closing;

      await until("what it published came", () => caused.ids().includes("1"));
    },
  },
  {
    title: "close is idempotent, and may be called many times at once",
    async run({ connection, stream }) {
      const subscription = await connection.subscribe(stream, recorder().handle);

      await Promise.all([connection.close(), subscription.close(), connection.close(), subscription.unsubscribe()]);
      await connection.close();

      assert.equal(connection.status().state, "closed");
    },
  },
  {
    title: "calls after close reject with ERR_CONNECTION_CLOSED",
    async run({ connection, stream }) {
      await connection.close();

      await assertCode(connection.publish(stream, sample("1")), "ERR_CONNECTION_CLOSED", true);
      await assertCode(connection.subscribe(stream, recorder().handle), "ERR_CONNECTION_CLOSED", true);
      await assertCode(connection.pull(stream), "ERR_CONNECTION_CLOSED", true);
    },
  },
];
