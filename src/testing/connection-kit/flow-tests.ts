import assert from "node:assert/strict";

import type { ConnectionTest } from "./connection-test.ts";

import { deliveryOf } from "../../streams/delivery.ts";
import { deliveriesOf, gate, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

/** Who gets what, and how much of it at once. */
export const flowTests: readonly ConnectionTest[] = [
  {
    title: "a handler is given the delivery: its stream, its position, and that it is the first one",
    async run({ connection, stream, until }) {
      const seen: unknown[] = [];
      await connection.subscribe(stream, async (ctx, message) => {
        const delivery = deliveryOf(ctx);
        seen.push({
          id: delivery?.message.id === message.id,
          stream: delivery?.stream,
          attempt: delivery?.attempt,
          ctxAttempt: ctx.attempt,
          redelivered: delivery?.redelivered,
          position: typeof delivery?.position,
          aborted: ctx.signal.aborted,
        });
      });

      await connection.publish(stream, sample("1"));
      await until("the message came", () => seen.length > 0);

      assert.deepEqual(seen, [{ id: true, stream, attempt: 1, ctxAttempt: 1, redelivered: false, position: "string", aborted: false }]);
    },
  },
  {
    title: "each name by itself gets every message",
    async run({ connection, stream, until }) {
      const names = ["billing", "shipping", "audit"].map((name) => ({ name, ...recorder() }));
      for (const { name, handle } of names) await connection.subscribe(stream, handle, { name });

      await publishAll(connection, stream, samples(50, 5));
      await until("every name has every message", () => names.every(({ receipts }) => receipts.length >= 50));

      for (const { ids } of names) assert.equal(new Set(ids()).size, 50);
    },
  },
  {
    title: "subscriptions of one name share the work",
    async run({ connection, stream, until }) {
      const { receipts, ids, handle } = recorder();
      await connection.subscribe(stream, handle);
      await connection.subscribe(stream, handle);

      await publishAll(connection, stream, samples(100, 10));
      await until("all messages came", () => receipts.length >= 100);
      await pause(50);

      assert.equal(new Set(ids()).size, 100);
      assert.equal(receipts.length, 100, "each message is handled by one of them");
    },
  },
  {
    title: "5,000 messages over 50 subscriptions of one name: none is lost",
    async run({ connection, stream, until }) {
      const { ids, handle } = recorder();
      await Promise.all(Array.from({ length: 50 }, () => connection.subscribe(stream, handle)));

      for (let batch = 0; batch < 10; batch += 1)
        await publishAll(connection, stream, samples(5_000, 100).slice(batch * 500, (batch + 1) * 500));
      await until("all messages came", () => new Set(ids()).size === 5_000);

      assert.equal(new Set(ids()).size, 5_000);
    },
  },
  {
    title: "many streams at once do not mix",
    async run({ connection, newStream, until }) {
      const streams = await Promise.all(Array.from({ length: 20 }, () => newStream()));
      const recorders = streams.map((stream) => ({ stream, ...recorder() }));
      await Promise.all(recorders.map(({ stream, handle }) => connection.subscribe(stream, handle)));

      await Promise.all(
        streams.map((stream) =>
          publishAll(
            connection,
            stream,
            samples(20, 4).map((message) => ({ ...message, content: stream })),
          ),
        ),
      );
      await until("all messages came", () => recorders.every(({ receipts }) => receipts.length >= 20));

      for (const { stream, receipts } of recorders) {
        assert.deepEqual(
          receipts.map(({ message }) => message.content),
          Array.from({ length: 20 }, () => stream),
        );
      }
    },
  },
  {
    title: "at most maxInFlight messages of a subscription are unsettled, however slow the handler is",
    async run({ connection, stream, until }) {
      const { opened, open } = gate();
      const { receipts, ids, handle } = recorder(() => opened);
      await connection.subscribe(stream, handle, { maxInFlight: 5, concurrency: 100 });

      await publishAll(connection, stream, samples(500, 500));
      await until("five messages came", () => receipts.length >= 5);
      await pause(50);
      assert.equal(receipts.length, 5, "handlers that run at once");
      assert.equal(connection.status().subscriptions[0]?.inFlight, 5, "messages that were handed over");
      open();
      await until("all messages came", () => new Set(ids()).size === 500);
    },
  },
  {
    title: "at most maxInFlight deliveries of a loop are out",
    async run({ connection, stream, patience, until }) {
      const subscription = await connection.pull(stream, { maxInFlight: 3 });
      await publishAll(connection, stream, samples(30, 30));
      await until("three came", () => connection.status().subscriptions[0]?.inFlight === 3);
      await pause(50);

      const ids = new Set<string>();
      for await (const delivery of deliveriesOf(subscription, patience)) {
        assert.ok((connection.status().subscriptions[0]?.inFlight ?? 0) <= 3, "no more than three are out");
        ids.add(delivery.message.id);
        await delivery.ack();
        if (ids.size === 30) break;
      }

      assert.equal(ids.size, 30);
    },
  },
];
