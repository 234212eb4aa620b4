import { sqliteEventStore } from "@event-driver/sqlite";
import { join } from "node:path";

import type { RunCase } from "../harness/result.ts";
import type { Row } from "../workloads/recording-store.ts";

import { alternate, type Contestant, costRatio, measurements, rateRatio, rates, type Samples, wallTime } from "../harness/alternate.ts";
import { notesOnDisk, temporaryFolder } from "../harness/temporary-folder.ts";
import { newOrders } from "../workloads/orders.ts";
import { openRawSqlite } from "../workloads/raw-sqlite.ts";
import { recordingStore } from "../workloads/recording-store.ts";
import { processOrders, tutorialPipeline } from "../workloads/tutorial.ts";

const ours = "tutorial on the SQLite store";
const raw = "node:sqlite, the same writes and commits";

/** 64 orders side by side: every write waits for the one before it in its order, and shares its commit with those of the other orders. */
export const inFlight: RunCase = async ({ quick }) => {
  const folder = temporaryFolder();

  const samples = await compare(folder, { orders: 640, side: 64, rounds: quick ? 9 : 41 });

  return {
    measurements: rates(samples, "orders/s"),
    checks: [rateRatio(samples, ours, raw, { least: 0.5 })],
    notes: notesOnDisk(folder),
  };
};

/** One order, one message, one write at a time: each has a commit of its own. */
export const oneAtATime: RunCase = async ({ quick }) => {
  const folder = temporaryFolder();

  const samples = await compare(folder, { orders: 20, side: 1, rounds: quick ? 15 : 81 });

  return {
    measurements: measurements(samples, "µs an order"),
    checks: [costRatio(samples, ours, raw, { most: 1.3 })],
    notes: notesOnDisk(folder),
  };
};

interface Comparison {
  /** How many orders a round has. Few: a disk that others use too changes its speed within a second, and both of a pair must meet the same one. */
  readonly orders: number;
  /** How many of them side by side. */
  readonly side: number;
  readonly rounds: number;
}

function compare(folder: string, { orders, side, rounds }: Comparison): Promise<Samples> {
  let files = 0;
  const newFile = (): string => {
    files += 1;
    return join(folder, `${files}.db`);
  };
  return alternate([byPipeline(newFile, orders, side), byHand(newFile, orders, side)], { warmUp: 5, measured: rounds });
}

function byPipeline(newFile: () => string, count: number, side: number): Contestant {
  return {
    name: ours,
    async round() {
      const store = sqliteEventStore({ file: newFile(), cleanUpInterval: false });
      const processor = tutorialPipeline(store);
      const orders = newOrders(count);
      const cost = await wallTime(count, () => processOrders(processor, orders, side));
      await store.close();
      return cost;
    },
  };
}

function byHand(newFile: () => string, count: number, side: number): Contestant {
  return {
    name: raw,
    async round() {
      const commits = await recordCommits(count, side);
      const database = await openRawSqlite(newFile());
      const cost = await wallTime(count, async () => {
        for (const rows of commits) database.write(rows);
      });
      database.close();
      return cost;
    },
  };
}

/** What the pipeline writes for so many orders, in the commits that they share when the first writes of all are done together, then the second. */
async function recordCommits(count: number, side: number): Promise<readonly (readonly Row[])[]> {
  const rows = new Map<string, Row[]>();
  const processor = tutorialPipeline(
    recordingStore((row) => {
      const [, key] = row;
      const ofOrder = rows.get(key) ?? [];
      rows.set(key, ofOrder);
      ofOrder.push(row);
    }),
  );
  await processOrders(processor, newOrders(count), 1);
  const orders = [...rows.values()];
  const groups = Array.from({ length: Math.ceil(count / side) }, (_, group) => orders.slice(group * side, (group + 1) * side));
  return groups.flatMap((group) => {
    const turns = Math.max(...group.map((order) => order.length));
    return Array.from({ length: turns }, (_, turn) => group.map((order) => order[turn]).filter((row) => row !== undefined));
  });
}
