import { availableParallelism, cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import type { WorkDone } from "../children/stream-worker.ts";
import type { RunCase } from "../harness/result.ts";
import type { StreamBroker } from "../workloads/streams/clients.ts";

import { alternate, type Contestant, rateRatio, rates, samplesOf } from "../harness/alternate.ts";
import { type Child, startChild } from "../harness/child.ts";
import { spreadOf } from "../harness/statistics.ts";
import { type BrokerName, onBroker, withStream } from "../workloads/streams/brokers.ts";
import { ourClient } from "../workloads/streams/clients.ts";
import { newMessages, newPosition } from "../workloads/streams/messages.ts";

/** How many keys there are: enough for every worker to have some of them at any time. */
const keys = 1_000;

/** Milliseconds between two looks at the workers. */
const lookEvery = 50;

/** What one round of a group has cost. */
interface GroupCost {
  /** Microseconds by the clock, a message. */
  readonly wall: number;
  /** How many of the machine's cores were busy. */
  readonly busy: number;
  /** How many of them with the workers. */
  readonly working: number;
}

/** One, two and four processes of a group, with 200 µs of work for each message. */
export const workers =
  (name: BrokerName): RunCase =>
  ({ quick }) =>
    onBroker(name, async (broker, url) => {
      const count = quick ? 5_000 : 40_000;
      const sizes = [1, 2, 4];
      const contestant = (size: number): Contestant<GroupCost> => ({
        name: groupOf(size),
        round: () => withStream(broker, (stream) => workOff(broker, { name, url, stream, size, count })),
      });

      const samples = await alternate(sizes.map(contestant), { warmUp: 0, measured: quick ? 1 : 5 });
      const wall = samplesOf(samples, (cost) => cost.wall);
      return {
        measurements: rates(wall, "messages/s"),
        checks: [rateRatio(wall, groupOf(2), groupOf(1)), rateRatio(wall, groupOf(4), groupOf(2))],
        notes: Array.from(samples, ([group, costs]) => describeCores(group, costs)),
      };
    });

function groupOf(size: number): string {
  return size === 1 ? "1 process" : `${size} processes`;
}

/** Says what was full. */
function describeCores(group: string, costs: readonly GroupCost[]): string {
  const { median: busy } = spreadOf(costs.map((cost) => cost.busy));
  const { median: working } = spreadOf(costs.map((cost) => cost.working));
  const cores = availableParallelism();
  return `${group}: ${busy.toFixed(1)} of ${cores} cores busy, ${working.toFixed(1)} of them with the workers${busy > 0.9 * cores ? "; the cores are full" : ""}`;
}

interface Load {
  readonly name: BrokerName;
  readonly url: string;
  readonly stream: string;
  readonly size: number;
  readonly count: number;
}

async function workOff({ connection }: StreamBroker, { name, url, stream, size, count }: Load): Promise<GroupCost> {
  const position = newPosition();
  const program = new URL("../children/stream-worker.ts", import.meta.url);
  const group = Array.from({ length: size }, () => startChild(program, [name, stream, position, url]));
  try {
    await Promise.all(group.map((worker) => worker.hear()));
    await ourClient(connection).publish(stream, newMessages(count, keys));
    // Each has something to do, so that nobody begins alone.
    await until(async () => (await askAll(group, "in flight?")).every((inFlight) => Number(inFlight) > 0));
    const busyBefore = busyTime();
    await askAll(group, "begin");
    let done: readonly WorkDone[] = [];
    await until(async () => {
      done = (await askAll(group, "done?")).map((answer): WorkDone => JSON.parse(answer));
      return done.reduce((sum, { handled }) => sum + handled, 0) >= count;
    });
    return costOf(done, count, busyTime() - busyBefore);
  } finally {
    for (const worker of group) worker.end();
  }
}

function costOf(done: readonly WorkDone[], count: number, busy: number): GroupCost {
  const elapsed = Math.max(...done.map(({ last }) => last)) - Math.min(...done.map(({ first }) => first));
  const cpu = done.reduce((sum, worker) => sum + worker.cpu, 0);
  return { wall: (elapsed * 1_000) / count, busy: busy / elapsed, working: cpu / 1_000 / elapsed };
}

function askAll(group: readonly Child[], question: string): Promise<readonly string[]> {
  return Promise.all(group.map((worker) => worker.ask(question)));
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(lookEvery);
}

/** Milliseconds that the cores have been busy, all together. */
function busyTime(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
