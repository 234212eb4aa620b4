import { sqliteEventStore } from "@event-driver/sqlite";
import { join } from "node:path";

import type { RunCase } from "../harness/result.ts";
import type { Row } from "../workloads/recording-store.ts";

import {
  alternate,
  type Contestant,
  costRatio,
  measurements,
  rateRatio,
  rates,
  type Rounds,
  type Samples,
  wallTime,
} from "../harness/alternate.ts";
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

  const samples = await compare(folder, { orders: 640, side: 64, warmUp: 10, measured: quick ? 9 : 41 });

  return {
    measurements: rates(samples, "orders/s"),
    checks: [rateRatio(samples, ours, raw, { least: 0.5 })],
    notes: notesOnDisk(folder),
  };
};

/** One order, one message, one write at a time: each has a commit of its own. */
export const oneAtATime: RunCase = async ({ quick }) => {
  const folder = temporaryFolder();

  const samples = await compare(folder, { orders: 20, side: 1, warmUp: 100, measured: quick ? 21 : 101 });

  return {
    measurements: measurements(samples, "µs an order"),
    checks: [costRatio(samples, ours, raw, { most: 1.3 })],
    notes: notesOnDisk(folder),
  };
};

interface Comparison extends Rounds {
  /** How many orders a round has. Few: a disk that others use too changes its speed within a second, and both of a pair must meet the same one. */
  readonly orders: number;
  /** How many of them side by side. */
  readonly side: number;
}

/** Each on one file that stays open over all rounds, as a service has it: new files are slower to write to, and our store watches them more closely. */
async function compare(folder: string, { orders, side, ...rounds }: Comparison): Promise<Samples> {
  const store = sqliteEventStore({ file: join(folder, "store.db"), cleanUpInterval: false });
  const database = await openRawSqlite(join(folder, "raw.db"));
  const processor = tutorialPipeline(store);

  const byPipeline: Contestant = {
    name: ours,
    round() {
      const events = newOrders(orders);
      return wallTime(orders, () => processOrders(processor, events, side));
    },
  };
  const byHand: Contestant = {
    name: raw,
    async round() {
      const commits = await recordCommits(orders, side);
      return wallTime(orders, async () => {
        for (const rows of commits) database.write(rows);
      });
    },
  };
  const samples = await alternate([byPipeline, byHand], rounds);

  database.close();
  await store.close();
  return samples;
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
