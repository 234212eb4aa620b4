import { natsConnection } from "@event-driver/nats";
import { type Connection, memoryBroker, memoryConnection } from "event-driver/streams";

import { check, type RunCase } from "../harness/result.ts";
import { collectedHeap } from "../harness/collected-heap.ts";
import { spreadOf } from "../harness/statistics.ts";
import { type Measured, onBroker } from "../workloads/streams/brokers.ts";
import { newMessages, newPosition, newStream } from "../workloads/streams/messages.ts";

/** From the middle of one half to that of the other: a leak of two bytes a message is a megabyte in a million. */
const flat = { most: 1 };

/** How many messages are published at a time; as many again are published when those are handled. */
const batch = 1_000;

/** A broker in memory, which keeps no more than is needed. */
export const heapInMemory: RunCase = async ({ quick }) => {
  const connection = memoryConnection({ broker: memoryBroker({ history: 0 }) });
  return report(await heapOver(connection, newStream(), quick ? 100_000 : 1_000_000));
};

/** A stream that keeps no more than that either, for the sake of the disk. */
export const heapOnNats: RunCase = ({ quick }) =>
  onBroker("nats", async (broker, url) => {
    const connection = await natsConnection({ url, stream: { maxMessages: 10 * batch } });
    const stream = newStream();
    try {
      return report(await heapOver(connection, stream, quick ? 50_000 : 1_000_000));
    } finally {
      await connection.close();
      await broker.remove(stream);
    }
  });

/** After so many messages, so many bytes. */
type Point = readonly [handled: number, heapUsed: number];

/** Publishes and consumes, and tells the heap ten times along the way, when nothing is under way. */
async function heapOver(connection: Connection, stream: string, count: number): Promise<readonly Point[]> {
  let handled = 0;
  let whenHandled = Promise.withResolvers<void>();
  const subscription = await connection.subscribe(
    stream,
    async () => {
      handled += 1;
      if (handled % batch === 0) whenHandled.resolve();
    },
    { name: newPosition() },
  );
  const points: Point[] = [];
  while (handled < count) {
    whenHandled = Promise.withResolvers();
    const settlements = await connection.publishBatch(stream, newMessages(batch));
    const failed = settlements.find((settlement) => settlement.status === "failed");
    if (failed !== undefined) throw failed.error;
    await whenHandled.promise;
    if (handled >= ((points.length + 1) * count) / 10) points.push([handled, collectedHeap()]);
  }
  await subscription.unsubscribe();
  return points;
}

function report(points: readonly Point[]): Measured {
  // At first buffers find their size. Later on Node drops code for a while that nobody has needed lately, and makes it again: medians do not see that.
  const settled = points.slice(2).map(([, heapUsed]) => heapUsed / 1_000_000);
  const [earlier, later] = [settled.slice(0, settled.length / 2), settled.slice(settled.length / 2)];
  return {
    measurements: points.map(([handled, heapUsed]) => ({
      contestant: `heap after ${handled.toLocaleString("en")} messages`,
      figure: spreadOf([heapUsed / 1_000_000]),
      unit: "MB",
    })),
    checks: [check("growth from one half to the other, by medians", [spreadOf(later).median - spreadOf(earlier).median], "MB", flat)],
  };
}
