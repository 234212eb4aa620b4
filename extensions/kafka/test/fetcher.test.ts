import { type VirtualClock, virtualClock } from "event-driver/testing";
import { expect, test, vi } from "vitest";

import type { PartitionAnswer } from "../src/fetch-api.ts";
import type { Answered, Question } from "../src/fetch-client.ts";

import { Fetcher } from "../src/fetcher.ts";
import { Partition } from "../src/partition.ts";
import { logOf } from "./log-batches.ts";

const ahead = 10;
const refillBelow = 5;
const maxWait = 500;

test("where nothing is left of any partition, one request asks for all of them, and waits", async () => {
  const { requests } = await started([partition(0), partition(1)]);

  expect(requests.map(shown)).toEqual(["0+1 wait 500"]);
});

test("a partition that runs low is asked for at once, with all others that have room", async () => {
  const [low, full, some] = [partition(0), partition(1), partition(2)];
  const { fetcher, requests, answer } = await started([low, full, some]);
  await answer({ 0: 10, 1: 40, 2: 12 });
  expect(requests).toHaveLength(1);

  take(low, 6);
  take(some, 5);
  fetcher.wake();

  await until(() => requests.length === 2);
  expect(requests.map(shown).at(-1)).toBe("0+2 wait 50");
});

test("no more is asked for while partitions have enough", async () => {
  const [one, two] = [partition(0), partition(1)];
  const { fetcher, requests, answer, clock } = await started([one, two]);
  await answer({ 0: 40, 1: 40 });

  take(one, 30);
  fetcher.wake();
  await clock.advance(10_000);

  expect(requests).toHaveLength(1);
});

test("what has been read to its end is looked after a little later, so that nothing waits behind that", async () => {
  const [busy, empty] = [partition(0), partition(1)];
  const { requests, answer, clock } = await started([busy, empty]);
  await answer({ 0: 40 });

  await clock.advance(49);
  const before = requests.length;
  await clock.advance(1);

  await until(() => requests.length === 2);
  expect(before).toBe(1);
  expect(requests.map(shown).at(-1)).toBe("1 wait 50");
});

test("one that runs low does not wait for those that have been read to their end", async () => {
  const [busy, empty] = [partition(0), partition(1)];
  const { fetcher, requests, answer, clock } = await started([busy, empty]);
  await answer({ 0: 40 });
  await clock.advance(49);

  take(busy, 36);
  fetcher.wake();
  await until(() => requests.length === 2);
  await clock.advance(49);

  expect(requests.map(shown)).toEqual(["0+1 wait 500", "0+1 wait 500"]);
});

test("a node gets one request at a time", async () => {
  const [one, two] = [partition(0), partition(1)];
  const { fetcher, requests } = await started([one]);

  fetcher.add([two]);
  fetcher.wake();
  await settled();

  expect(requests.map(shown)).toEqual(["0 wait 500"]);
});

test("after an error it pauses, tells it, and asks anew where partitions are", async () => {
  const { requests, fail, clock, errors, forget } = await started([partition(0)]);

  await fail(new Error("gone"));
  const before = requests.length;
  await clock.advance(200);

  await until(() => requests.length === 2);
  expect(before).toBe(1);
  expect(errors).toEqual([expect.objectContaining({ message: "gone" })]);
  expect(forget).toHaveBeenCalledTimes(1);
});

test("a replica that the leader names is asked from then on, until it fails", async () => {
  const one = partition(0);
  const { requests, answer, fail, clock } = await started([one]);

  await answer({}, { preferredReplica: 7 });
  await until(() => requests.length === 2);
  await fail(new Error("gone"));
  await clock.advance(200);
  await until(() => requests.length === 3);

  expect(requests.map(({ node }) => node)).toEqual([1, 7, 1]);
});

test("nothing is asked after it was stopped", async () => {
  const { fetcher, requests, answer, clock } = await started([partition(0)]);

  fetcher.stop();
  await answer({ 0: 1 });
  await clock.advance(10_000);

  expect(requests).toHaveLength(1);
});

interface Request {
  readonly node: number;
  readonly questions: readonly Question[];
  readonly wait: number;
  readonly settle: (answers: Promise<readonly Answered[]>) => void;
}

interface Started {
  readonly fetcher: Fetcher;
  readonly requests: readonly Request[];
  /** Answers the last request with so many records of each partition. */
  readonly answer: (counts: Readonly<Record<number, number>>, more?: Partial<PartitionAnswer>) => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
  readonly clock: VirtualClock;
  readonly errors: readonly unknown[];
  readonly forget: () => void;
}

/** Resolves when the first request is on its way. */
async function started(partitions: readonly Partition[]): Promise<Started> {
  const requests: Request[] = [];
  const errors: unknown[] = [];
  const clock = virtualClock();
  const forget = vi.fn<() => void>();
  const fetcher = new Fetcher({
    client: {
      cluster: async () => ({
        partitionCounts: new Map([["orders", partitions.length]]),
        leaderOf: () => 1,
        fetch(node, questions, wait) {
          const { promise, resolve } = Promise.withResolvers<readonly Answered[]>();
          requests.push({ node, questions, wait, settle: resolve });
          return promise;
        },
      }),
      forget,
    },
    settings: { maxWait, isolation: "committed" },
    ahead,
    refillBelow,
    clock,
    onRecords: (each, records, next) => each.append(records, next),
    onOutOfRange() {},
    onPartitionCount() {},
    onError: (error) => errors.push(error),
  });
  fetcher.add(partitions);
  await until(() => requests.length === 1);
  const answer: Started["answer"] = async (counts, more = {}) => {
    const { questions = [], settle } = requests.at(-1) ?? {};
    settle?.(Promise.resolve(questions.map((question) => ({ ...question, answer: answerTo(question, counts, more) }))));
    await settled();
  };
  const fail: Started["fail"] = async (error) => {
    requests.at(-1)?.settle(Promise.reject(error));
    await settled();
  };
  return { fetcher, requests, answer, fail, clock, errors, forget };
}

/** What has been answered in full has more behind it. */
function answerTo(
  { partition: { topic, index }, offset }: Question,
  counts: Readonly<Record<number, number>>,
  more: Partial<PartitionAnswer>,
): PartitionAnswer {
  const count = counts[index] ?? 0;
  const end = count === 0 ? offset : offset + 1_000n;
  return {
    topic,
    index,
    errorCode: 0,
    highWatermark: end,
    lastStableOffset: end,
    abortedTransactions: [],
    preferredReplica: -1,
    records: count === 0 ? null : logOf({ firstOffset: offset, records: Array.from({ length: count }, () => ({})) }),
    ...more,
  };
}

function partition(index: number): Partition {
  return new Partition({ topic: "orders", index, start: 0n });
}

function take(from: Partition, count: number): void {
  for (let left = count; left > 0; left -= 1) from.take();
}

function shown({ questions, wait }: Request): string {
  return `${questions.map(({ partition: { index } }) => index).join("+")} wait ${wait}`;
}

/** What was begun has gone as far as it can. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function until(isTrue: () => boolean): Promise<boolean> {
  return vi.waitUntil(isTrue, { interval: 1, timeout: 30_000 });
}
