import assert from "node:assert/strict";

import type { ConnectionTest } from "./connection-test.ts";

import { TerminalError } from "../../errors.ts";
import { createMessage } from "../../message.ts";
import { assertSameMessage } from "../event-store-kit/kit-test.ts";
import { deliveriesOf, pause, publishAll, recorder, sample, samples } from "./connection-test.ts";

/** Timers may fire a little early by another clock. */
const slack = 2;

export const failureTests: readonly ConnectionTest[] = [
  {
    title: "a message whose handler fails is delivered again, also many times",
    async run({ connection, stream, until }) {
      const { ids, handle } = recorder((ctx) => {
        if (ctx.attempt < 5) throw new Error("not yet");
      });
      await connection.subscribe(stream, handle, { retry: { delays: [1, 1, 1, 1] } });

      await connection.publish(stream, sample("1"));
      await until("the message came five times", () => ids().length >= 5);
      await pause(30);

      assert.equal(ids().length, 5);
    },
  },
  ...(["key", "none"] as const).map((order): ConnectionTest => ({
    title: `a failed message is not delivered again before its delay is over: order by ${order}`,
    needs: order === "key" ? ["keyOrder"] : [],
    async run({ connection, stream, delay, until }) {
      const { receipts, handle } = recorder((ctx) => {
        if (ctx.attempt < 3) throw new Error("not yet");
      });
      await connection.subscribe(stream, handle, { order, retry: { delays: [delay, 2 * delay] } });

      await connection.publish(stream, sample("1"));
      await until("the message came three times", () => receipts.length >= 3);

      const [first, second, third] = receipts.map(({ at }) => at);
      assert.ok(first !== undefined && second !== undefined && third !== undefined);
      assert.ok(second - first >= delay - slack, `again after ${second - first} ms, which is before ${delay}`);
      assert.ok(third - second >= 2 * delay - slack, `again after ${third - second} ms, which is before ${2 * delay}`);
    },
  })),
  {
    title: "release with a delay delivers again not sooner than that",
    needs: ["delay"],
    async run({ connection, stream, patience, delay }) {
      const subscription = await connection.pull(stream);
      await connection.publish(stream, sample("1"));
      let releasedAt = 0;
      for await (const delivery of deliveriesOf(subscription, patience)) {
        if (releasedAt > 0) {
          assert.ok(
            performance.now() - releasedAt >= delay - slack,
            `again after ${performance.now() - releasedAt} ms, which is before ${delay}`,
          );
          await delivery.ack();
          return;
        }
        releasedAt = performance.now();
        await delivery.nack({ delay });
      }
    },
  },
  {
    title: "attempt grows with each delivery of the same message",
    needs: ["attempts"],
    async run({ connection, stream, patience }) {
      const subscription = await connection.pull(stream);
      await connection.publish(stream, sample("1"));
      const attempts: number[] = [];
      for await (const delivery of deliveriesOf(subscription, patience)) {
        attempts.push(delivery.attempt);
        assert.equal(delivery.redelivered, delivery.attempt > 1);
        if (attempts.length < 4) await delivery.nack();
        else {
          await delivery.ack();
          break;
        }
      }

      assert.deepEqual(attempts, [1, 2, 3, 4]);
    },
  },
  {
    title: "what was settled stays so: a later word on it does nothing",
    async run({ connection, stream, patience }) {
      const subscription = await connection.pull(stream);
      await publishAll(connection, stream, [sample("1"), sample("2")]);
      const ids: string[] = [];
      for await (const delivery of deliveriesOf(subscription, patience)) {
        ids.push(delivery.message.id);
        await delivery.ack();
        await delivery.nack();
        await delivery.ack();
        await delivery.extend();
        if (delivery.message.id === "2") break;
      }
      await pause(30);

      assert.deepEqual(ids, ["1", "2"]);
      assert.equal(connection.status().subscriptions[0]?.inFlight, 0);
    },
  },
  {
    title: "messages go on after others have failed",
    async run({ connection, stream, until }) {
      const { ids, handle } = recorder((ctx, { id }) => {
        if (Number(id) % 3 === 0 && ctx.attempt === 1) throw new Error("not yet");
      });
      await connection.subscribe(stream, handle, { retry: { delays: [1] } });

      await publishAll(connection, stream, samples(60, 10));
      await until("all messages are done", () => new Set(ids()).size === 60 && ids().length >= 80);

      assert.equal(ids().length, 80);
    },
  },
  {
    title: "a message that keeps failing goes to the dead-letter stream, untouched but for what is known of its failure",
    async run({ connection, stream, newStream, until }) {
      const { receipts, handle } = recorder();
      const [deadLetter, message] = [
        await newStream(),
        createMessage({
          id: "1",
          key: "order-1",
          source: "shop",
          origin: "https://shop.example",
          type: "order.created",
          content: new Uint8Array([0, 255]),
          attributes: { tenant: "acme" },
        }),
      ];
      await connection.subscribe(deadLetter, handle);
      await connection.subscribe(stream, () => Promise.reject(new Error("the content is secret")), { deadLetter, retry: { delays: [1] } });

      await connection.publish(stream, message);
      await until("the dead letter came", () => receipts.length > 0);

      const received = receipts[0]?.message;
      assert.ok(received !== undefined);
      const { dlfirsttime = "", dllasttime = "", dlposition, dlpartition: _partition, ...others } = received.attributes;
      assertSameMessage({ ...received, attributes: message.attributes }, message);
      assert.equal(receipts.length, 1);
      assert.deepEqual(
        { ...others },
        { tenant: "acme", dlreason: "ERR_HANDLER_FAILED", dltext: "Error", dlattempts: "2", dlstream: stream },
      );
      assert.ok(Date.parse(dlfirsttime) <= Date.parse(dllasttime), "the times of the first and the last failure");
      assert.equal(typeof dlposition, "string");
    },
  },
  {
    title: "a terminal failure goes to the dead-letter stream at once, and what follows it goes on",
    async run({ connection, stream, newStream, until }) {
      const deadLetter = await newStream();
      const [dead, done] = [
        recorder(),
        recorder((_ctx, { id }) => {
          if (id === "1") throw new TerminalError("cancelled");
        }),
      ];
      await connection.subscribe(deadLetter, dead.handle);
      await connection.subscribe(stream, done.handle, { deadLetter });

      await publishAll(connection, stream, [sample("1"), sample("2")]);
      await until("both came to their end", () => dead.receipts.length > 0 && done.ids().includes("2"));

      assert.deepEqual([dead.ids(), done.ids()], [["1"], ["1", "2"]]);
    },
  },
  {
    title: "without a dead-letter stream a failed message is tried on, and never dropped",
    async run({ connection, stream, until }) {
      let isMended = false;
      const { ids, handle } = recorder(() => {
        if (!isMended) throw new TerminalError("cancelled");
      });
      await connection.subscribe(stream, handle, { retry: { delays: [1] } });

      await connection.publish(stream, sample("1"));
      await until("the message came ten times", () => ids().length >= 10);
      isMended = true;
      await until("the message is done", () => connection.status().subscriptions[0]?.inFlight === 0);

      assert.ok(ids().every((id) => id === "1"));
    },
  },
  {
    title: "single messages can expire",
    needs: ["expiry", "backfillAll"],
    async run({ connection, stream, newStream, ackWait, until }) {
      const deadLetter = await newStream();
      const fails = (): Promise<void> => Promise.reject(new TerminalError("cancelled"));
      await connection.subscribe(stream, fails, { deadLetter: { stream: deadLetter, retention: ackWait } });
      await connection.publish(stream, sample("1"));
      await until("the message is put aside", () => connection.status().subscriptions[0]?.inFlight === 0);
      await pause(3 * ackWait);
      const { ids, handle } = recorder();

      await connection.subscribe(deadLetter, handle, { backfill: true });
      await connection.publish(deadLetter, sample("2"));
      await until("the second message came", () => ids().includes("2"));

      assert.deepEqual(ids(), ["2"]);
    },
  },
  {
    title: "a record that is no message goes to the dead-letter stream and to no handler",
    needs: ["poison"],
    async run({ connection, stream, newStream, poison, until }) {
      const deadLetter = await newStream();
      const [dead, done] = [recorder(), recorder()];
      await connection.subscribe(deadLetter, dead.handle);
      await connection.subscribe(stream, done.handle, { deadLetter });

      await poison(stream);
      await connection.publish(stream, sample("1"));
      await until("both came to their end", () => dead.receipts.length > 0 && done.receipts.length > 0);

      assert.deepEqual(done.ids(), ["1"]);
      assert.equal(dead.receipts.length, 1);
      assert.ok(dead.receipts[0]?.message.attributes["dlreason"]?.startsWith("ERR_"), "it says why");
    },
  },
];
