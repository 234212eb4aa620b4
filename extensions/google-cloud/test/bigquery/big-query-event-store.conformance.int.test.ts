import type { EventStore } from "event-driver";

import { randomUUID } from "node:crypto";
import { eventStoreKit } from "event-driver/testing";
import { test } from "vitest";

import { suiteWith } from "../../../../test/services.ts";
import { bigQueryEventStore } from "../../src/bigquery/index.ts";
import { emulatedBigQuery, newDataset } from "./emulator.ts";

const suite = await suiteWith("bigquery");

// Several at a time, each on a table of its own: a call costs the emulator some 40 ms of processor time, and the kit makes more than five thousand.
suite.concurrent("a table of BigQuery", { timeout: 600_000 }, () => {
  const bigquery = emulatedBigQuery();
  const dataset = newDataset(bigquery);
  const tables = new WeakMap<EventStore, string>();
  const openTable = async (table: string): Promise<EventStore> => {
    const store = bigQueryEventStore({ bigquery, dataset: await dataset, table, createTable: true });
    tables.set(store, table);
    return store;
  };

  eventStoreKit({
    test,
    open: () => openTable(randomUUID()),
    openAnother: (first) => openTable(tables.get(first) ?? "of no store"),
    features: { compareAndSet: false, clock: true },
    patience: 60_000,
  });
});
