import assert from "node:assert/strict";

import type { SubscribeOptions } from "../../streams/subscribe-options.ts";
import type { ConnectionBench, ConnectionTest } from "./connection-test.ts";

import { deliveryOf } from "../../streams/delivery.ts";
import { assertCode, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

export const positionTests: readonly ConnectionTest[] = [
  {
    title: "a new name begins with what comes from then on",
    async run(bench) {
      await publishAll(bench.connection, bench.stream, samples(3, 1));

      assert.deepEqual(await beginsWith(bench, {}), ["last"]);
    },
  },
  {
    title: "backfill: true begins with the first message that is there",
    needs: ["backfillAll"],
    async run(bench) {
      await publishAll(bench.connection, bench.stream, samples(3, 1));

      assert.deepEqual(await beginsWith(bench, { backfill: true }), ["0", "1", "2", "last"]);
    },
  },
  {
    title: "backfill by time begins with the first message from then on",
    needs: ["backfillTime"],
    async run(bench) {
      await bench.connection.publish(bench.stream, sample("before", "order-0"));
      await pause(30);
      const backfill = new Date();
      await pause(30);
      await bench.connection.publish(bench.stream, sample("after", "order-0"));

      assert.deepEqual(await beginsWith(bench, { backfill }), ["after", "last"]);
    },
  },
  {
    title: "backfill by position begins with that position, itself included",
    needs: ["backfillAll", "backfillPosition"],
    async run(bench) {
      const positions: string[] = [];
      await bench.connection.subscribe(bench.stream, async (ctx) => void positions.push(deliveryOf(ctx)?.position ?? ""), {
        name: "finder",
      });
      for (const message of samples(3, 1)) await bench.connection.publish(bench.stream, message);
      await bench.until("all positions are known", () => positions.length === 3);

      assert.deepEqual(await beginsWith(bench, { backfill: { position: positions[1] ?? "" } }), ["1", "2", "last"]);
    },
  },
  {
    title: "a name that has a position goes on from there, whatever backfill says; reset starts it anew",
    needs: ["durable", "backfillAll", "reset"],
    async run(bench) {
      await publishAll(bench.connection, bench.stream, samples(2, 1));
      assert.deepEqual(await beginsWith(bench, { backfill: true }, "last 1"), ["0", "1", "last 1"]);

      assert.deepEqual(await beginsWith(bench, { backfill: true }, "last 2"), ["last 2"]);
      assert.deepEqual(await beginsWith(bench, { backfill: true, reset: true }, "last 3"), ["0", "1", "last 1", "last 2", "last 3"]);
      assert.deepEqual(await beginsWith(bench, { reset: true }, "last 4"), ["last 4"]);
    },
  },
  {
    title: "reset is refused while others are subscribed under the name",
    needs: ["reset", "openAnother"],
    async run({ connection, stream, openAnother }) {
      await connection.subscribe(stream, recorder().handle);
      const other = await openAnother();

      await assertCode(other.subscribe(stream, recorder().handle, { reset: true }), "ERR_SUBSCRIPTION_BUSY", true);
    },
  },
  {
    title: "a position that is not durable ends with its last subscription",
    needs: ["transient"],
    async run(bench) {
      await beginsWith(bench, { durable: false }, "last 1");
      await bench.connection.publish(bench.stream, sample("missed"));

      assert.deepEqual(await beginsWith(bench, { durable: false }, "last 2"), ["last 2"]);
    },
  },
];

/** What a subscription gets up to a last message that it publishes; then it is closed. */
async function beginsWith(
  { connection, stream, until }: ConnectionBench,
  options: SubscribeOptions,
  last: string = "last",
): Promise<readonly string[]> {
  const { ids, handle } = recorder();
  const subscription = await connection.subscribe(stream, handle, options);
  await connection.publish(stream, sample(last, "order-0"));
  await until(`${last} came`, () => ids().includes(last));
  await subscription.close();
  return ids();
}
