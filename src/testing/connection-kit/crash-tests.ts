import assert from "node:assert/strict";

import type { ConnectionTest } from "./connection-test.ts";

import { deliveriesOf, gate, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

/** What happens to messages whose subscriber does not come back, or is late. */
export const crashTests: readonly ConnectionTest[] = [
  {
    title: "a message is not acknowledged before its handler has finished",
    needs: ["durable", "openAnother", "crash"],
    async run({ connection, stream, features, ackWait, until, openAnother, crash }) {
      const timeout = features.ackWait === "none" ? {} : { timeout: ackWait };
      const { opened, open } = gate();
      const first = recorder(() => opened);
      await connection.subscribe(stream, first.handle, timeout);
      await connection.publish(stream, sample("1"));
      await until("the handler has begun", () => first.receipts.length > 0);

      await crash(connection);
      const second = recorder();
      await (await openAnother()).subscribe(stream, second.handle, timeout);
      await until("the message came again", () => second.receipts.length > 0);

      assert.deepEqual(second.ids(), ["1"]);
      if (features.attempts) assert.ok((second.receipts[0]?.attempt ?? 0) > 1, "it was delivered before");
      open();
    },
  },
  {
    title: "a process that dies between the end of its handler and the acknowledgement loses nothing",
    needs: ["durable", "openAnother", "crash"],
    async run({ connection, stream, features, ackWait, until, openAnother, crash }) {
      const timeout = features.ackWait === "none" ? {} : { timeout: ackWait };
      const first = recorder(() => crash(connection));
      const publisher = await openAnother();
      await connection.subscribe(stream, first.handle, timeout);
      await publisher.publish(stream, sample("1"));
      await until("the first process has died", () => first.receipts.length > 0);

      const second = recorder();
      await publisher.subscribe(stream, second.handle, timeout);
      await until("the message came again", () => second.receipts.length > 0);

      assert.deepEqual(second.ids(), ["1"]);
    },
  },
  {
    title: "acknowledging a message says nothing of those before it",
    needs: ["durable", "openAnother", "crash"],
    async run({ connection, stream, features, ackWait, until, openAnother, crash }) {
      const timeout = features.ackWait === "none" ? {} : { timeout: ackWait };
      const { opened, open } = gate();
      const first = recorder((_ctx, { id }) => (id === "0" ? opened : undefined));
      await connection.subscribe(stream, first.handle, timeout);
      for (const message of samples(20, 20)) await connection.publish(stream, message);
      await until("all but the first are done", () => connection.status().subscriptions[0]?.inFlight === 1 && first.receipts.length === 20);
      await pause(50);

      await crash(connection);
      const second = recorder();
      await (await openAnother()).subscribe(stream, second.handle, timeout);
      await until("the unfinished one came again", () => second.ids().includes("0"));

      open();
    },
  },
  {
    title: "the ack wait is extended while the handler runs, so that nobody else is given the message",
    needs: ["extension", "openAnother"],
    async run({ connection, stream, ackWait, until, openAnother }) {
      const { ids, handle } = recorder(() => pause(3 * ackWait));
      await connection.subscribe(stream, handle, { timeout: ackWait });
      await (await openAnother()).subscribe(stream, handle, { timeout: ackWait });

      await connection.publish(stream, sample("1"));
      await until("the message came", () => ids().length > 0);
      await pause(4 * ackWait);

      assert.deepEqual(ids(), ["1"]);
    },
  },
  {
    title: "a delivery that nobody settles or extends is delivered again after its ack wait, and its signal aborts",
    needs: ["ackWait"],
    async run({ connection, stream, patience, ackWait, until }) {
      const subscription = await connection.pull(stream, { timeout: ackWait });
      await connection.publish(stream, sample("1"));
      const signals: AbortSignal[] = [];
      for await (const delivery of deliveriesOf(subscription, patience)) {
        signals.push(delivery.signal);
        if (signals.length === 1) continue;
        await until("the signal of the first delivery aborts", () => signals[0]?.aborted === true);
        assert.equal(delivery.signal.aborted, false);
        await delivery.ack();
        break;
      }
    },
  },
  {
    title: "settling a delivery that was taken back does nothing",
    needs: ["ackWait"],
    async run({ connection, stream, patience, ackWait, until }) {
      const subscription = await connection.pull(stream, { timeout: ackWait });
      await connection.publish(stream, sample("1"));
      let count = 0;
      for await (const delivery of deliveriesOf(subscription, patience)) {
        count += 1;
        if (count > 2) {
          await delivery.ack();
          break;
        }
        await until("the delivery was taken back", () => delivery.signal.aborted);
        await delivery.ack();
      }

      assert.equal(count, 3, "the late acknowledgements have ended nothing");
    },
  },
  {
    title: "a connection that is cut and comes back loses nothing",
    needs: ["outage"],
    async run({ connection, stream, until, outage }) {
      const { ids, handle } = recorder();
      await connection.subscribe(stream, handle);
      await publishAll(connection, stream, samples(100, 10));

      const end = await outage();
      await end();
      await until("it is connected again", () => connection.status().state === "connected");
      await publishAll(connection, stream, samples(200, 10).slice(100));

      await until("all messages came", () => new Set(ids()).size === 200);
    },
  },
  {
    title: "what is published while the broker is out of reach is delivered afterwards, unless it was refused",
    needs: ["outage"],
    async run({ connection, stream, patience, until, outage }) {
      const { ids, handle } = recorder();
      await connection.subscribe(stream, handle);
      await publishAll(connection, stream, samples(10, 10));
      const end = await outage();

      const publishing = connection.publishBatch(stream, samples(60, 10).slice(10), { signal: AbortSignal.timeout(patience / 2) });
      await pause(50);
      await end();
      const published = (await publishing).flatMap((settlement) => (settlement.status === "published" ? [settlement.id] : []));
      await until("it takes messages again", () => connection.status().state === "connected");
      await publishAll(connection, stream, [sample("afterwards")]);

      const expected = [...samples(10, 10).map(({ id }) => id), ...published, "afterwards"];
      await until("all that was published came", () => expected.every((id) => ids().includes(id)));
    },
  },
  {
    title: "publish gives up when its signal aborts, also while the broker is out of reach",
    needs: ["outage"],
    async run({ connection, stream, until, outage }) {
      await publishAll(connection, stream, samples(2, 2));
      const end = await outage();
      const giveUp = new AbortController();
      const statuses: string[] = [];
      void connection
        .publishBatch(stream, samples(5, 1), { signal: giveUp.signal })
        .then((settlements) => statuses.push(...settlements.map(({ status }) => status)));
      await pause(20);

      giveUp.abort(new Error("enough"));
      try {
        await until("publish has given up", () => statuses.length === 5);
      } finally {
        await end();
      }

      assert.deepEqual(new Set(statuses), new Set(["failed"]), "nothing is reported as published");
    },
  },
  {
    title: "members that come and go while handlers run lose nothing",
    needs: ["openAnother"],
    async run({ connection, stream, until, openAnother }) {
      const { ids, handle } = recorder(() => pause(5));
      await connection.subscribe(stream, handle, { maxInFlight: 32 });
      const publishing = publishAll(connection, stream, samples(500, 50));

      for (let round = 0; round < 3; round += 1) {
        const member = await openAnother();
        await member.subscribe(stream, handle, { maxInFlight: 32 });
        await pause(30);
        await member.close();
      }
      await publishing;

      await until("all messages came", () => new Set(ids()).size === 500);
    },
  },
];
