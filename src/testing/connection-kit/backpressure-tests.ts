import assert from "node:assert/strict";

import type { Message } from "../../message.ts";
import type { Connection } from "../../streams/connection.ts";
import type { ConnectionTest } from "./connection-test.ts";

import { pause, publishAll, sample } from "./connection-test.ts";
import { memoryInUse } from "./memory-in-use.ts";

const content = "x".repeat(256);
const keys = 1_000;
const maxInFlight = 100;

/** So many are published at a time: a connection need not take more. */
const batch = 5_000;

/** So many handlers run at once, and take so many milliseconds: a second for 500 messages, in which whoever reads ahead has read thousands. */
const concurrency = 10;
const slowness = 20;
const handledSlowly = 500;
const handledFast = 2_000;

/** A queue that is longer than what anybody should hold. */
export const backpressureTests: readonly ConnectionTest[] = [
  {
    title:
      "of a long queue a slow handler's subscription has no more than maxInFlight messages, and its process keeps less than half in memory",
    needs: ["durable"],
    async run({ connection, stream, queued, until }) {
      let handled = 0;
      let mostInFlight = 0;
      let isSlow = true;
      await keepPosition(connection, stream);
      await fill(connection, stream, queued);
      // Where the broker is in this process itself, so is the queue.
      const before = await memoryInUse();

      const subscription = await connection.subscribe(
        stream,
        async () => {
          mostInFlight = Math.max(mostInFlight, connection.status().subscriptions[0]?.inFlight ?? 0);
          if (isSlow) await pause(slowness);
          handled += 1;
        },
        { maxInFlight, concurrency },
      );
      for (let slowly = concurrency; slowly <= handledSlowly; slowly += concurrency)
        await until(`${slowly} were handled slowly`, () => handled >= Math.min(slowly, queued));
      const grown = (await memoryInUse()) - before;
      isSlow = false;
      await until("others were handled fast", () => handled >= Math.min(handledSlowly + handledFast, queued));
      await subscription.unsubscribe();

      assert.ok(mostInFlight <= maxInFlight, `${mostInFlight} messages were handed over at once, and maxInFlight is ${maxInFlight}`);
      const half = (queued * content.length) / 2;
      assert.ok(grown < half, `memory has grown by ${grown} bytes, and half of what is queued is ${half}`);
    },
  },
];

/** From here on the name of the stream gets everything, though nobody is there. */
async function keepPosition(connection: Connection, stream: string): Promise<void> {
  const subscription = await connection.subscribe(stream, async () => {});
  await subscription.close();
}

async function fill(connection: Connection, stream: string, queued: number): Promise<void> {
  for (let first = 0; first < queued; first += batch) {
    const count = Math.min(batch, queued - first);
    await publishAll(
      connection,
      stream,
      Array.from({ length: count }, (_, index) => numbered(first + index)),
    );
  }
}

function numbered(number: number): Message {
  return sample(String(number), `order-${number % keys}`, content);
}
