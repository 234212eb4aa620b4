import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import type { Connection, ConnectionFeatures } from "../streams/connection.ts";
import type { ConnectionBench, ConnectionNeed, ConnectionTest } from "./connection-kit/connection-test.ts";

import { backpressureTests } from "./connection-kit/backpressure-tests.ts";
import { closeTests } from "./connection-kit/close-tests.ts";
import { until } from "./connection-kit/connection-test.ts";
import { crashTests } from "./connection-kit/crash-tests.ts";
import { failureTests } from "./connection-kit/failure-tests.ts";
import { flowTests } from "./connection-kit/flow-tests.ts";
import { orderTests } from "./connection-kit/order-tests.ts";
import { positionTests } from "./connection-kit/position-tests.ts";
import { publishTests } from "./connection-kit/publish-tests.ts";

export interface ConnectionKitOptions {
  /** Registers a test, as `test` of vitest, jest or node:test does. */
  readonly test: (title: string, run: () => Promise<void>) => unknown;
  /** Opens a connection. The kit closes it when its test has ended. */
  readonly open: () => Connection | Promise<Connection>;
  /** What the connection declares. Tests of what it cannot do are skipped. */
  readonly features: ConnectionFeatures;
  /**
   * Opens a further connection to the broker of one that `open` gave, in this process or another one; `first` may be gone by then.
   * @default the tests of several connections are skipped
   */
  readonly openAnother?: (first: Connection) => Connection | Promise<Connection>;
  /**
   * Has the connection end as with its process: nothing more is said to the broker. The kit still closes it.
   * @default the tests of crashes are skipped
   */
  readonly crash?: (connection: Connection) => unknown;
  /**
   * Cuts the connection to the broker, which is out of reach until the function that this returns is called.
   * @default the tests of that are skipped
   */
  readonly outage?: (connection: Connection) => Outage | Promise<Outage>;
  /**
   * Puts a record into the stream that is no message.
   * @default the tests of that are skipped
   */
  readonly poison?: (connection: Connection, stream: string) => unknown;
  /**
   * A stream that nobody has used, made at the broker where that is needed. Where a beginning is given, the name has to begin so.
   * @default a random UUID, behind the beginning where there is one
   */
  readonly newStream?: (beginning: string | undefined) => string | Promise<string>;
  /**
   * Told of every test that is skipped, by its title, and why.
   * @default nobody is told
   */
  readonly skip?: (title: string, reason: string) => unknown;
  /**
   * Milliseconds after which something that must happen counts as not happening; less than the runner's own limit for a test.
   * @default 4_000
   */
  readonly patience?: number;
  /**
   * Milliseconds of an ack wait that the broker can keep.
   * @default 300
   */
  readonly ackWait?: number;
  /**
   * Milliseconds of a delay that the broker can keep.
   * @default 60
   */
  readonly delay?: number;
  /**
   * How many messages wait behind a slow handler in the test of backpressure, which takes seconds. Fewer where the broker takes long to be filled, and
   * still tens of thousands: what a process needs besides, a megabyte or two, counts as well.
   * @default 100_000
   */
  readonly queued?: number;
}

/** Ends an outage: the broker is within reach again. */
export type Outage = () => unknown;

/**
 * Registers the tests that every Connection must pass: each sentence of the contracts of `Connection` and `Transport`, under the same words.
 *
 * Use it for every adapter, and add tests only for what is the adapter's own. It depends on no test runner. It runs in real time, since brokers do.
 *
 * @example
 * import { test } from "vitest";
 * connectionKit({ test, open: () => redisConnection({ url }), openAnother: () => redisConnection({ url }), features: redisFeatures });
 */
export function connectionKit(options: ConnectionKitOptions): void {
  for (const kitTest of [declaredFeatures(options.features), ...kitTests]) {
    const missing = kitTest.needs?.find((need) => !isMet(need, options));
    if (missing === undefined) options.test(kitTest.title, () => runOne(kitTest, options));
    else options.skip?.(kitTest.title, needs[missing].reason);
  }
}

const kitTests: readonly ConnectionTest[] = [
  ...publishTests,
  ...flowTests,
  ...backpressureTests,
  ...orderTests,
  ...positionTests,
  ...failureTests,
  ...crashTests,
  ...closeTests,
];

interface NeedCheck {
  readonly reason: string;
  readonly isMet: (options: ConnectionKitOptions) => boolean;
}

const needs: Readonly<Record<ConnectionNeed, NeedCheck>> = {
  openAnother: { reason: "the kit was not given openAnother", isMet: ({ openAnother }) => openAnother !== undefined },
  crash: { reason: "the kit was not given crash", isMet: ({ crash }) => crash !== undefined },
  outage: { reason: "the kit was not given outage", isMet: ({ outage }) => outage !== undefined },
  poison: { reason: "the kit was not given poison", isMet: ({ poison }) => poison !== undefined },
  durable: { reason: "features.durable is false", isMet: ({ features }) => features.durable },
  transient: { reason: "features.transient is false", isMet: ({ features }) => features.transient },
  backfillAll: { reason: 'features.backfill has no "all"', isMet: ({ features }) => features.backfill.includes("all") },
  backfillTime: { reason: 'features.backfill has no "time"', isMet: ({ features }) => features.backfill.includes("time") },
  backfillPosition: { reason: 'features.backfill has no "position"', isMet: ({ features }) => features.backfill.includes("position") },
  reset: { reason: "features.reset is false", isMet: ({ features }) => features.reset },
  serial: { reason: "features.serial is false", isMet: ({ features }) => features.serial },
  keyOrder: { reason: 'features.keyOrder is "none"', isMet: ({ features }) => features.keyOrder !== "none" },
  groupOrder: { reason: 'features.keyOrder is not "group"', isMet: ({ features }) => features.keyOrder === "group" },
  ackWait: { reason: 'features.ackWait is "none"', isMet: ({ features }) => features.ackWait !== "none" },
  extension: { reason: 'features.ackWait is not "extended"', isMet: ({ features }) => features.ackWait === "extended" },
  delay: { reason: "features.delay is false", isMet: ({ features }) => features.delay },
  attempts: { reason: "features.attempts is false", isMet: ({ features }) => features.attempts },
  expiry: { reason: "features.expiry is false", isMet: ({ features }) => features.expiry },
};

function isMet(need: ConnectionNeed, options: ConnectionKitOptions): boolean {
  return needs[need].isMet(options);
}

function declaredFeatures(features: ConnectionFeatures): ConnectionTest {
  return {
    title: "features are those that the connection is tested for",
    async run({ connection }) {
      assert.deepEqual(connection.features, features);
    },
  };
}

async function runOne({ run }: ConnectionTest, options: ConnectionKitOptions): Promise<void> {
  const connection = await options.open();
  const opened = [connection];
  const [outcome] = await Promise.allSettled([benchOf(connection, opened, options).then(run)]);
  const closings = await Promise.allSettled(opened.map(async (each) => each.close({ limit: 0 })));
  // The test's own failure first: a broken connection often cannot be closed either.
  for (const result of [outcome, ...closings]) {
    if (result.status === "rejected") throw result.reason;
  }
}

/** What the options give no means for does nothing here; no test that needs it is run. */
async function benchOf(connection: Connection, opened: Connection[], options: ConnectionKitOptions): Promise<ConnectionBench> {
  const { patience = 4_000, ackWait = 300, delay = 60, queued = 100_000, openAnother, crash, outage, poison } = options;
  // Names that differ by their beginning alone must stay apart.
  const end = randomUUID();
  const newStream = async (beginning?: string): Promise<string> =>
    (await options.newStream?.(beginning)) ?? (beginning === undefined ? randomUUID() : `${beginning}-${end}`);
  return {
    connection,
    features: options.features,
    stream: await newStream(),
    newStream,
    patience,
    ackWait,
    delay,
    queued,
    until: (what, isSo) => until(what, patience, isSo),
    async openAnother() {
      const another = (await openAnother?.(connection)) ?? connection;
      opened.push(another);
      return another;
    },
    crash: async (crashing) => void (await crash?.(crashing)),
    async outage() {
      const end = await outage?.(connection);
      return async () => void (await end?.());
    },
    poison: async (stream) => void (await poison?.(connection, stream)),
  };
}
