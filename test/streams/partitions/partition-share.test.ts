import { expect, test } from "vitest";

import type { HeldPartition } from "../../../src/streams/partitions/partition-share.ts";

import { partitionShare } from "../../../src/streams/partitions/partition-share.ts";
import { virtualClock } from "../../../src/testing/virtual-clock.ts";
import { shareWorld } from "./share-world.ts";

const random = (): number => 0.5;

test("a member that is alone has all partitions when it has looked for the first time", async () => {
  const world = shareWorld({ count: 4, random });

  const only = world.join();
  await world.clock.advance(100);

  expect(only.share.held).toEqual([0, 1, 2, 3]);
  expect(new Set(only.changes.flatMap(({ gained }) => gained))).toEqual(new Set([0, 1, 2, 3]));
});

test("who comes later gets a share, and nobody more than one above another", async () => {
  const world = shareWorld({ count: 7, random });

  const [first, second, third] = [world.join(), world.join(), world.join()];
  await world.settle();

  expect([first, second, third].map(({ share }) => share.held.length)).toEqual([3, 2, 2]);
});

test("the highest partitions are given up, and the others stay where they are", async () => {
  const world = shareWorld({ count: 4, random });
  const first = world.join();
  await world.settle();

  const second = world.join();
  await world.settle();

  expect(first.share.held).toEqual([0, 1]);
  expect(second.share.held).toEqual([2, 3]);
  expect(new Set(first.changes.flatMap(({ lost }) => lost))).toEqual(new Set([2, 3]));
});

test("a partition goes to nobody else before what is worked on in it has ended", async () => {
  const world = shareWorld({ count: 2, random, finishing: 60_000 });
  const first = world.join();
  await world.clock.advance(100);
  const second = world.join();

  await world.clock.advance(30_000);
  expect([first.share.held, second.share.held]).toEqual([[0], []]);
  expect(world.holderOf(1)).toBe(first);
  await world.settle();

  expect([first.share.held, second.share.held]).toEqual([[0], [1]]);
});

test("more members than partitions stand by, and take over from who leaves", async () => {
  const world = shareWorld({ count: 2, random });
  const [first, , third] = [world.join(), world.join(), world.join()];
  await world.settle();
  expect(third.share.held).toEqual([]);

  first.leave();
  await world.settle();

  expect(third.share.held.length).toBe(1);
});

test("a dead member's partitions are taken at the next look", async () => {
  const world = shareWorld({ count: 4, random });
  const [first, second] = [world.join(), world.join()];
  await world.settle();

  second.die();
  await world.clock.advance(1_100);

  expect(first.share.held).toEqual([0, 1, 2, 3]);
});

test("a partition that was lost is told, and taken again", async () => {
  const world = shareWorld({ count: 2, random });
  const only = world.join();
  await world.settle();
  only.changes.length = 0;

  only.disconnect();
  expect(only.share.held).toEqual([]);
  await world.settle();

  expect(only.share.held).toEqual([0, 1]);
  expect(new Set(only.changes.flatMap(({ lost }) => lost))).toEqual(new Set([0, 1]));
});

test("calls that fail cost time and nothing else", async () => {
  const world = shareWorld({ count: 6, random });
  const [first, second] = [world.join(), world.join()];
  first.failing = 3;
  second.failing = 4;

  await world.settle();

  expect([first.share.held.length, second.share.held.length]).toEqual([3, 3]);
});

test("a partition that could not be given up is not worked on, and given up at the next look", async () => {
  const clock = virtualClock();
  let [members, refusals] = [1, 0];
  const share = partitionShare({
    count: 2,
    standing: async () => ({ members, rank: 0 }),
    take: async () => ({
      giveUp: async () => {
        refusals += 1;
        if (refusals === 1) throw new Error("the broker does not answer");
      },
    }),
    clock,
    random,
  });
  await share.look();

  members = 2;
  await share.look();
  expect(share.held).toEqual([0]);
  await clock.advance(10_000);

  expect(refusals).toBe(2);
  expect(share.held).toEqual([0]);
  share.stop();
});

test.each(["stop", "close"] as const)("what was about to be taken at %s is given back, and told to nobody", async (end) => {
  const taking = Promise.withResolvers<HeldPartition>();
  const givenUp = Promise.withResolvers<void>();
  const told: unknown[] = [];
  const share = partitionShare({
    count: 1,
    standing: async () => ({ members: 1, rank: 0 }),
    take: () => taking.promise,
    onChange: (change) => told.push(change),
    clock: virtualClock(),
  });
  const looked = share.look();
  await Promise.resolve();

  const ended = share[end]();
  taking.resolve({ giveUp: async () => givenUp.resolve() });
  await Promise.all([givenUp.promise, looked, ended]);

  expect(share.held).toEqual([]);
  expect(told).toEqual([]);
});

test("a partition that is lost before it was taken is not held", async () => {
  const clock = virtualClock();
  let taken = 0;
  const share = partitionShare({
    count: 1,
    standing: async () => ({ members: 1, rank: 0 }),
    take: async (_partition, lost) => {
      taken += 1;
      if (taken === 1) lost(new Error("the connection broke"));
      return { giveUp: async () => {} };
    },
    clock,
  });

  await share.look();
  expect(share.held).toEqual([]);
  await clock.advance(1_000);

  expect(share.held).toEqual([0]);
  share.stop();
});

test("when it has stopped it neither takes nor gives up, and no timer is left", async () => {
  const world = shareWorld({ count: 4, random });
  const first = world.join();
  await world.settle();

  first.share.stop();
  world.join();
  await world.settle();

  expect(first.share.held).toEqual([0, 1, 2, 3]);
});

test("close resolves though the broker does not let it give anything up", async () => {
  const world = shareWorld({ count: 2, random });
  const only = world.join();
  await world.settle();

  only.failing = Infinity;
  const closed = only.share.close();
  await world.clock.advance(10_000);

  await expect(closed).resolves.toBeUndefined();
  expect(world.clock.pending).toBe(0);
});

test.each([
  ["count", { count: 0 }],
  ["count", { count: 1.5 }],
  ["every", { count: 1, every: 0 }],
  ["every", { count: 1, every: Infinity }],
])("a bad %s is refused", (option, options) => {
  const make = (): unknown => partitionShare({ standing: async () => ({ members: 1, rank: 0 }), take: async () => undefined, ...options });

  expect(make).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(option) }));
});
