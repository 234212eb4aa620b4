import { setInterval } from "node:timers/promises";

import type { RunCase } from "../harness/result.ts";

import { alternate, type Contestant, measurements, samplesOf } from "../harness/alternate.ts";
import { check } from "../harness/result.ts";
import { quantileOf } from "../harness/statistics.ts";
import { type BrokerName, onBroker, withStream } from "../workloads/streams/brokers.ts";
import { ourClient, ours, type StreamConsumer, type StreamPublisher } from "../workloads/streams/clients.ts";
import { newMessages, newPosition } from "../workloads/streams/messages.ts";

/** Milliseconds between two messages: no more than any of the brokers, and any machine, has time for. */
const every = 4;

/** Messages until it is measured: the first ones find a subscription that is just being opened. */
const warmUp = 250;

/** Milliseconds between sending and handling. */
interface Latency {
  readonly median: number;
  readonly p99: number;
}

/** How much later than by the bare client a message reaches its handler, while there is no load. */
export const latency =
  (name: BrokerName): RunCase =>
  ({ quick }) =>
    onBroker(name, async (broker) => {
      const { bare } = broker;
      const contestant = (consumer: StreamConsumer): Contestant<Latency> => ({
        name: consumer.name,
        // The same client sends for both.
        round: () => withStream(broker, (stream) => latencyOf(consumer, bare, stream, quick ? 250 : 1_000)),
      });

      const samples = await alternate([ourClient(broker.connection), bare].map(contestant), {
        warmUp: 1,
        measured: quick ? 3 : 9,
      });
      const bareRounds = samples.get(bare.name) ?? [];
      const added = (figure: (latency: Latency) => number): readonly number[] =>
        (samples.get(ours) ?? []).map(
          (round, index) => figure(round) - figure(bareRounds[index] ?? { median: Number.NaN, p99: Number.NaN }),
        );
      return {
        measurements: [...measurements(samplesOf(samples, median), "ms, median"), ...measurements(samplesOf(samples, p99), "ms, p99")],
        checks: [check("added to the median", added(median), "ms"), check("added to the 99th percentile", added(p99), "ms", { most: 1 })],
      };
    });

const median = (latency: Latency): number => latency.median;
const p99 = (latency: Latency): number => latency.p99;

async function latencyOf(consumer: StreamConsumer, publisher: StreamPublisher, stream: string, count: number): Promise<Latency> {
  // Of one key, so that they come in the order of sending.
  const messages = newMessages(warmUp + count, 1);
  const position = newPosition();
  const sentAt: number[] = [];
  const handledAt: number[] = [];
  const { promise: allHandled, resolve } = Promise.withResolvers<void>();
  await consumer.prepare(stream, position);
  const stop = await consumer.consume(stream, position, () => {
    handledAt.push(performance.now());
    if (handledAt.length === messages.length) resolve();
  });

  const confirmed: Promise<void>[] = [];
  for await (const _ of setInterval(every)) {
    const message = messages[sentAt.length];
    if (message === undefined) break;
    sentAt.push(performance.now());
    confirmed.push(publisher.publish(stream, [message]));
  }
  await Promise.all([allHandled, ...confirmed]);
  await stop();

  const latencies = handledAt.map((at, index) => at - (sentAt[index] ?? Number.NaN)).slice(warmUp);
  return { median: quantileOf(latencies, 0.5), p99: quantileOf(latencies, 0.99) };
}
