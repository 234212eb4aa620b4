import {
  type Contestant,
  type Rounds,
  alternate,
  costRatio,
  measurements,
  rateRatio,
  rates,
  type Samples,
  samplesOf,
} from "../harness/alternate.ts";
import type { RunCase } from "../harness/result.ts";
import { type Cost, startStopwatch } from "../harness/stopwatch.ts";
import { type BrokerName, type Measured, onBroker, withStream } from "../workloads/streams/brokers.ts";
import { ourClient, ours, type StreamConsumer, type StreamPublisher } from "../workloads/streams/clients.ts";
import { newMessages, newPosition } from "../workloads/streams/messages.ts";

/** How near to the rate of the bare client ours has to come. */
const near = { least: 0.85 };
/** Beside whom ours has to be ahead. */
const ahead = { least: 1 };

/** Sends messages that are confirmed. */
export const publishing =
  (name: BrokerName): RunCase =>
  ({ quick }) =>
    onBroker(name, async (broker) => {
      const count = quick ? 5_000 : 20_000;
      const client = ourClient(broker.connection);

      const contestant = (publisher: StreamPublisher): Contestant<Cost> => ({
        name: publisher.name,
        round: () =>
          withStream(broker, async (stream) => {
            // Where nobody needed the messages, some brokers would not keep them.
            await broker.bare.prepare(stream, newPosition());
            const [first, ...messages] = newMessages(count + 1);
            await publisher.publish(stream, first === undefined ? [] : [first]);
            const cost = startStopwatch();
            await publisher.publish(stream, messages);
            return cost(count);
          }),
      });

      const samples = await alternate([client, broker.bare].map(contestant), roundsOf(quick));
      return report(samples, [broker.bare], []);
    });

/** Receives messages with a handler that does nothing, and acknowledges them after it. */
export const consuming =
  (name: BrokerName): RunCase =>
  ({ quick }) =>
    onBroker(name, async (broker) => {
      const count = (quick ? 5_000 : 20_000) * (broker.isLog ? 4 : 1);
      const client = ourClient(broker.connection);

      const contestant = (consumer: StreamConsumer, stream: string): Contestant<Cost> => ({
        name: consumer.name,
        async round() {
          const position = newPosition();
          await consumer.prepare(stream, position);
          if (!broker.isLog) await client.publish(stream, newMessages(count));
          return consumeAll(consumer, { stream, position, count });
        },
      });

      const samples = await withStream(broker, async (stream) => {
        // Where messages stay, everyone reads the same ones.
        if (broker.isLog) await client.publish(stream, newMessages(count));
        return alternate(
          [client, broker.bare, broker.reading, ...broker.others].map((consumer) => contestant(consumer, stream)),
          roundsOf(quick),
        );
      });
      return report(samples, [broker.bare, broker.reading], broker.others);
    });

interface Consumption {
  readonly stream: string;
  readonly position: string;
  readonly count: number;
}

/** From the first message to the last: who needs how long to begin is another question. */
async function consumeAll(consumer: StreamConsumer, { stream, position, count }: Consumption): Promise<Cost> {
  const { promise, resolve } = Promise.withResolvers<Cost>();
  let handled = 0;
  let cost = startStopwatch();
  const stop = await consumer.consume(stream, position, () => {
    handled += 1;
    if (handled === 1) cost = startStopwatch();
    if (handled === count) resolve(cost(count - 1));
  });
  const needed = await promise;
  await stop();
  return needed;
}

function roundsOf(quick: boolean): Rounds {
  return quick ? { warmUp: 1, measured: 3 } : { warmUp: 2, measured: 7 };
}

interface Contender {
  readonly name: string;
}

function report(samples: Samples<Cost>, bare: readonly Contender[], others: readonly Contender[]): Measured {
  const wall = samplesOf(samples, (cost) => cost.wall);
  const cpu = samplesOf(samples, (cost) => cost.cpu);
  return {
    measurements: [...rates(wall, "messages/s"), ...measurements(cpu, "µs CPU")],
    checks: [
      ...bare.map(({ name }) => rateRatio(wall, ours, name, near)),
      ...others.map(({ name }) => rateRatio(wall, ours, name, ahead)),
      ...[...bare, ...others].map(({ name }) => costRatio(cpu, ours, name)),
    ],
  };
}
