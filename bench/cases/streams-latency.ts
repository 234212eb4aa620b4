import { setInterval } from "node:timers/promises";

import type { RunCase } from "../harness/result.ts";

import { check } from "../harness/result.ts";
import { quantileOf, spreadOf } from "../harness/statistics.ts";
import { type BrokerName, onBroker, withStream } from "../workloads/streams/brokers.ts";
import { ourClient, type StreamConsumer, type StreamPublisher } from "../workloads/streams/clients.ts";
import { newMessages, newPosition } from "../workloads/streams/messages.ts";

/** Milliseconds between two messages: no more than any of the brokers, and any machine, has time for. */
const every = 4;

/** Messages until it is measured: the first ones find a subscription that is just being opened. */
const warmUp = 250;

/** How much later than by the bare client a message reaches its handler, while there is no load. */
export const latency =
  (name: BrokerName): RunCase =>
  ({ quick }) =>
    onBroker(name, async (broker) => {
      const rounds = quick ? 3 : 9;
      const client = ourClient(broker.connection);
      // Both get the same messages, from one sender: whatever holds up the broker holds up both.
      const consumers = [client, broker.bare];

      const latencies: (readonly (readonly number[])[])[] = [];
      for (let round = -1; round < rounds; round += 1) {
        const measured = await withStream(broker, (stream) => latenciesOf(consumers, broker.bare, stream, quick ? 250 : 1_000));
        if (round >= 0) latencies.push(measured);
      }

      const figures = (place: number, share: number): readonly number[] => latencies.map((round) => quantileOf(round[place] ?? [], share));
      const added = (share: number): readonly number[] => {
        const bare = figures(1, share);
        return figures(0, share).map((figure, round) => figure - (bare[round] ?? Number.NaN));
      };
      return {
        measurements: consumers.flatMap((consumer, place) => [
          { contestant: `${consumer.name}, median`, figure: spreadOf(figures(place, 0.5)), unit: "ms" },
          { contestant: `${consumer.name}, 99th percentile`, figure: spreadOf(figures(place, 0.99)), unit: "ms" },
        ]),
        checks: [check("added to the median", added(0.5), "ms"), check("added to the 99th percentile", added(0.99), "ms", { most: 1 })],
      };
    });

/** Milliseconds between sending and handling of so many messages, by consumer. */
async function latenciesOf(
  consumers: readonly StreamConsumer[],
  publisher: StreamPublisher,
  stream: string,
  count: number,
): Promise<readonly (readonly number[])[]> {
  // Of one key, so that they come in the order of sending.
  const messages = newMessages(warmUp + count, 1);
  const handled = await Promise.all(consumers.map((consumer) => subscribed(consumer, stream, messages.length)));

  const sentAt: number[] = [];
  const confirmed: Promise<void>[] = [];
  for await (const _ of setInterval(every)) {
    const message = messages[sentAt.length];
    if (message === undefined) break;
    sentAt.push(performance.now());
    confirmed.push(publisher.publish(stream, [message]));
  }
  await Promise.all(confirmed);

  const times = await Promise.all(handled.map((end) => end()));
  return times.map((handledAt) => handledAt.map((at, index) => at - (sentAt[index] ?? Number.NaN)).slice(warmUp));
}

/** Subscribes; calling what it resolves to waits until so many messages were handled, ends that and tells when each of them was. */
async function subscribed(consumer: StreamConsumer, stream: string, count: number): Promise<() => Promise<readonly number[]>> {
  const position = newPosition();
  const handledAt: number[] = [];
  const { promise: allHandled, resolve } = Promise.withResolvers<void>();
  await consumer.prepare(stream, position);
  const stop = await consumer.consume(stream, position, () => {
    handledAt.push(performance.now());
    if (handledAt.length === count) resolve();
  });
  return async () => {
    await allHandled;
    await stop();
    return handledAt;
  };
}
