import { kafkaBinding } from "@event-driver/cloudevents/bindings";
import { virtualClock } from "event-driver/testing";
import type { Inbound } from "event-driver/streams";
import { expect, type Mock, test, vi } from "vitest";

import { Deliveries } from "../src/deliveries.ts";
import { Partition } from "../src/partition.ts";
import { readableRecords } from "../src/readable-records.ts";
import { logOf } from "./log-batches.ts";

test("partitions take turns, however many records the first one has", async () => {
  const { deliveries, delivered, ackAll } = started({ maxInFlight: 4 });
  deliveries.add(partitionWith(0, 40));
  deliveries.add(partitionWith(1, 40));

  deliveries.pump();
  for (let count = 4; count <= 80; count += 4) {
    await until(() => delivered.length === count);
    ackAll();
  }

  expect(turnsOf(delivered)).toEqual(["0 x 16", "1 x 16", "0 x 16", "1 x 16", "0 x 8", "1 x 8"]);
});

test("a partition with few records leaves its turn to the next", async () => {
  const { deliveries, delivered } = started({ maxInFlight: 20 });
  deliveries.add(partitionWith(0, 2));
  deliveries.add(partitionWith(1, 0));
  deliveries.add(partitionWith(2, 30));

  deliveries.pump();

  await until(() => delivered.length === 20);
  expect(turnsOf(delivered)).toEqual(["0 x 2", "2 x 18"]);
});

test("no more than may be in flight are handed over, and one more for each that is done", async () => {
  const { deliveries, delivered } = started({ maxInFlight: 3 });
  deliveries.add(partitionWith(0, 10));
  deliveries.pump();
  await until(() => delivered.length === 3);

  await delivered[1]?.ack();

  await until(() => delivered.length > 3);
  expect(delivered.map(({ position }) => position.split("@")[0])).toEqual(["0:0", "0:1", "0:2", "0:3"]);
});

test("it tells that there is room when a partition has few left, and not before", async () => {
  const { deliveries, delivered, ackAll, onRoom } = started({ maxInFlight: 4, refillBelow: 3 });
  deliveries.add(partitionWith(0, 10));

  deliveries.pump();
  await until(() => delivered.length === 4);
  const early = onRoom.mock.calls.length;
  ackAll();
  await until(() => delivered.length === 8);

  expect([early, onRoom.mock.calls.length]).toEqual([0, 1]);
});

test("what is lost makes room for others", async () => {
  const { deliveries, delivered } = started({ maxInFlight: 2 });
  const lost = partitionWith(0, 5);
  deliveries.add(lost);
  deliveries.add(partitionWith(1, 5));
  deliveries.pump();
  await until(() => delivered.length === 2);

  lost.lose(new Error("it went elsewhere"));

  await until(() => delivered.length === 4);
  expect(turnsOf(delivered)).toEqual(["0 x 2", "1 x 2"]);
});

function until(isTrue: () => boolean): Promise<boolean> {
  return vi.waitUntil(isTrue, { interval: 1, timeout: 30_000 });
}

interface Started {
  readonly deliveries: Deliveries;
  readonly delivered: readonly Inbound[];
  readonly ackAll: () => void;
  readonly onRoom: Mock<() => void>;
}

function started({ maxInFlight, refillBelow = 1 }: { readonly maxInFlight: number; readonly refillBelow?: number }): Started {
  const delivered: Inbound[] = [];
  let acknowledged = 0;
  const onRoom = vi.fn<() => void>();
  const deliveries = new Deliveries({
    stream: "orders",
    sink: {
      deliver(inbound) {
        delivered.push(inbound);
        return { revoke() {} };
      },
      lost() {},
    },
    binding: kafkaBinding(),
    clock: virtualClock(),
    maxInFlight,
    refillBelow,
    retries: undefined,
    onMessage: undefined,
    onAck: (partition, entry) => deliveries.finish(partition, entry),
    onRoom,
  });
  const ackAll = (): void => {
    for (; acknowledged < delivered.length; acknowledged += 1) void delivered[acknowledged]?.ack();
  };
  return { deliveries, delivered, ackAll, onRoom };
}

function partitionWith(index: number, count: number): Partition {
  const partition = new Partition({ topic: "orders", index, start: 0n });
  if (count === 0) return partition;
  const log = logOf({ firstOffset: 0n, records: Array.from({ length: count }, () => ({})) });
  const { records, next } = readableRecords({ records: log, abortedTransactions: [] }, 0n, "committed");
  partition.append(records, next);
  return partition;
}

/** Which partitions had how many deliveries in a row. */
function turnsOf(delivered: readonly Inbound[]): readonly string[] {
  const turns: { partition: string | undefined; count: number }[] = [];
  for (const { partition } of delivered) {
    const last = turns.at(-1);
    if (last?.partition === partition && last !== undefined) last.count += 1;
    else turns.push({ partition, count: 1 });
  }
  return turns.map(({ partition, count }) => `${partition} x ${count}`);
}
