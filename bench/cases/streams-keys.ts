import { type Clock, sleep, systemClock } from "event-driver";
import { type Connection, memoryBroker, memoryConnection, type SubscribeOptions } from "event-driver/streams";
import { virtualClock } from "event-driver/testing";

import { check, type RunCase } from "../harness/result.ts";
import { spreadOf } from "../harness/statistics.ts";
import { type Measured, onBroker, withStream } from "../workloads/streams/brokers.ts";
import { newMessages, newPosition, newStream } from "../workloads/streams/messages.ts";

/** Milliseconds that each message is worked on. */
const work = 100;

/** How many keys there are, and how many of them are worked on side by side. */
const keys = 64;

const parallel: SubscribeOptions = { concurrency: keys };
const serial: SubscribeOptions = { serial: true };

/** What the parallel one has to do better. */
const far = { least: 50 };

/** On a clock that only moves when everything waits for it: what the engine allows. */
export const keysInMemory: RunCase = async () => {
  const clock = virtualClock();
  const connection = memoryConnection({ broker: memoryBroker({ clock }) });
  const rateOf = async (count: number, options: SubscribeOptions): Promise<number> => {
    let isDone = false;
    const needed = handleAll({ connection, stream: newStream(), clock, count, options }).finally(() => (isDone = true));
    while (!isDone) await clock.advance(work);
    return (count * 1_000) / (await needed);
  };

  return report(await rateOf(10 * keys, parallel), await rateOf(2 * keys, serial));
};

/** On the real clock, and a broker that has a say. */
export const keysOnNats: RunCase = ({ quick }) =>
  onBroker("nats", async (broker) => {
    const { connection } = broker;
    const rateOf = (count: number, options: SubscribeOptions): Promise<number> =>
      withStream(broker, async (stream) => (count * 1_000) / (await handleAll({ connection, stream, clock: systemClock, count, options })));

    return report(await rateOf((quick ? 10 : 50) * keys, parallel), await rateOf(quick ? 20 : keys, serial));
  });

interface Load {
  readonly connection: Connection;
  readonly stream: string;
  readonly clock: Clock;
  readonly count: number;
  readonly options: SubscribeOptions;
}

/** How many milliseconds it takes until all of them are handled, from when they are at the broker. */
async function handleAll({ connection, stream, clock, count, options }: Load): Promise<number> {
  const { promise: allHandled, resolve } = Promise.withResolvers<void>();
  let handled = 0;
  await connection.publishBatch(stream, newMessages(count, keys));
  const begun = clock.now();
  const handler = async (): Promise<void> => {
    await sleep(clock, work);
    handled += 1;
    if (handled === count) resolve();
  };
  const subscription = await connection.subscribe(stream, handler, { ...options, name: newPosition(), backfill: true });
  await allHandled;
  const needed = clock.now() - begun;
  await subscription.unsubscribe();
  return needed;
}

function report(parallelRate: number, serialRate: number): Measured {
  return {
    measurements: [
      { contestant: `${keys} keys side by side`, figure: spreadOf([parallelRate]), unit: "messages/s" },
      { contestant: "serial", figure: spreadOf([serialRate]), unit: "messages/s" },
    ],
    checks: [check("rate of parallel / serial", [parallelRate / serialRate], "x", far)],
  };
}
