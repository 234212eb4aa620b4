import { pbkdf2Sync } from "node:crypto";

import { openBroker } from "../workloads/streams/brokers.ts";

/** What a worker tells of its work. */
export interface WorkDone {
  readonly handled: number;
  /** Epoch milliseconds of the first and the last one. */
  readonly first: number;
  readonly last: number;
  /** Microseconds of CPU time since the first one. */
  readonly cpu: number;
}

// Started with a broker, a stream and a position, it subscribes and says so; it works on nothing before it is told to begin.
const [broker = "", stream = "", name = "", url = ""] = process.argv.slice(2);
const begun = Promise.withResolvers<void>();
let handled = 0;
let first = 0;
let last = 0;
let cpuBefore = process.cpuUsage();

const { connection } = await openBroker(broker, url);
await connection.subscribe(
  stream,
  async (_ctx, message) => {
    await begun.promise;
    if (handled === 0) {
      first = now();
      cpuBefore = process.cpuUsage();
    }
    // About 200 µs of CPU time.
    pbkdf2Sync(message.content, "salt", 500, 32, "sha256");
    handled += 1;
    last = now();
  },
  { name, backfill: true },
);

process.on("message", (question) => {
  if (question === "in flight?") process.send?.(connection.status().subscriptions[0]?.inFlight ?? 0);
  else if (question === "begin") {
    begun.resolve();
    process.send?.("begun");
  } else process.send?.({ handled, first, last, cpu: cpuUsed() } satisfies WorkDone);
});
process.send?.("subscribed");

function now(): number {
  return performance.timeOrigin + performance.now();
}

function cpuUsed(): number {
  const { user, system } = process.cpuUsage(cpuBefore);
  return user + system;
}
