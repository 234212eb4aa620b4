import assert from "node:assert/strict";

import type { Connection } from "../../streams/connection.ts";
import type { SubscribeOptions } from "../../streams/subscribe-options.ts";
import type { ConnectionBench, ConnectionTest } from "./connection-test.ts";

import { seededRandom } from "../event-store-kit/random.ts";
import { assertCode, gate, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

export const orderTests: readonly ConnectionTest[] = [
  {
    title: "one key stays in order within a subscription, while handlers take different times and fail",
    needs: ["keyOrder"],
    run: (bench) => staysInOrder(bench, [bench.connection], { concurrency: 16 }),
  },
  {
    title: "one key stays in order over all subscriptions of a name, while handlers take different times and fail",
    needs: ["groupOrder", "openAnother"],
    async run(bench) {
      await staysInOrder(bench, [bench.connection, await bench.openAnother(), await bench.openAnother()], {
        concurrency: 4,
        maxInFlight: 8,
      });
    },
  },
  {
    title: "different keys are worked on side by side",
    async run({ connection, stream, until }) {
      const { opened, open } = gate();
      const { receipts, handle } = recorder(() => opened);
      await connection.subscribe(stream, handle, { concurrency: 8 });

      await publishAll(connection, stream, samples(8, 8));
      await until("all eight are worked on", () => receipts.length === 8);

      open();
    },
  },
  {
    title: "the followers of a failed message wait behind it, and other keys flow",
    needs: ["keyOrder"],
    async run({ connection, stream, delay, until }) {
      const { ids, handle } = recorder((ctx, { id }) => {
        if (id === "a1" && ctx.attempt < 3) throw new Error("not yet");
      });
      await connection.subscribe(stream, handle, { order: "key", retry: { delays: [delay, delay] } });

      await publishAll(connection, stream, [sample("a1", "a"), sample("a2", "a"), sample("b1", "b")]);
      await until("all messages are done", () => ids().includes("a2"));

      assert.deepEqual(
        ids().filter((id) => id !== "b1"),
        ["a1", "a1", "a1", "a2"],
      );
      assert.ok(ids().indexOf("b1") < ids().lastIndexOf("a1"), "the other key does not wait");
    },
  },
  {
    title: "serial works on one message at a time in the order of the stream, and a failure blocks what follows",
    needs: ["serial"],
    async run({ connection, stream, delay, until }) {
      let running = 0;
      let most = 0;
      const { ids, handle } = recorder(async (ctx, { id }) => {
        running += 1;
        most = Math.max(most, running);
        await pause(1);
        running -= 1;
        if (id === "2" && ctx.attempt === 1) throw new Error("not yet");
      });
      await connection.subscribe(stream, handle, { serial: true, retry: { delays: [delay] } });

      for (const message of samples(5, 5)) await connection.publish(stream, message);
      await until("all messages are done", () => ids().includes("4"));

      assert.deepEqual(ids(), ["0", "1", "2", "2", "3", "4"]);
      assert.equal(most, 1, "handlers that ran at once");
    },
  },
  {
    title: "subscribe rejects with ERR_SUBSCRIPTION_BUSY when the name is taken alone, until that subscription has gone",
    needs: ["serial", "openAnother"],
    async run({ connection, stream, openAnother }) {
      const { handle } = recorder();
      const other = await openAnother();
      const alone = await connection.subscribe(stream, handle, { serial: true });

      await assertCode(other.subscribe(stream, handle, { serial: true }), "ERR_SUBSCRIPTION_BUSY", true);
      await other.subscribe(stream, handle, { name: "another" });
      await alone.close();

      await other.subscribe(stream, handle, { serial: true });
    },
  },
];

/** Some handlers fail once, and all take their time: no key may be worked on twice at once, or go on before its failed message is done. */
async function staysInOrder(
  { stream, until }: ConnectionBench,
  connections: readonly [Connection, ...Connection[]],
  options: SubscribeOptions,
): Promise<void> {
  const random = seededRandom(7);
  const busy = new Set<string>();
  const done: string[] = [];
  const failed = new Set<string>();
  const problems: string[] = [];
  const messages = samples(200, 8);
  const handle = async (_ctx: unknown, { id, key }: { readonly id: string; readonly key: string }): Promise<void> => {
    if (busy.has(key)) problems.push(`${id} began while another message of ${key} was worked on`);
    busy.add(key);
    await pause(random.below(3));
    busy.delete(key);
    if (Number(id) % 7 === 0 && !failed.has(id)) {
      failed.add(id);
      throw new Error("not yet");
    }
    done.push(id);
  };
  for (const connection of connections)
    await connection.subscribe(stream, handle, { ...options, order: "key", retry: { delays: [2, 2, 2] } });

  for (const message of messages) await connections[0].publish(stream, message);
  await until("all messages are done", () => new Set(done).size === messages.length);

  assert.deepEqual(problems, []);
  for (const [key, sameKey] of Map.groupBy(messages, (message) => message.key)) {
    const ids = sameKey.map(({ id }) => id);
    assert.deepEqual(
      done.filter((id) => ids.includes(id)),
      ids,
      `the order of ${key}`,
    );
  }
}
