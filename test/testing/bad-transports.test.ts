import { describe, expect, test } from "vitest";

import type { BadTransport } from "./bad-transports/bad-transport.ts";

import { connectionKit } from "../../src/testing/connection-kit.ts";
import { type Alterations, memoryHandles } from "../streams/memory-handles.ts";
import { badConnections } from "./bad-transports/bad-connections.ts";
import { badDeliveries } from "./bad-transports/bad-deliveries.ts";
import { badOutages } from "./bad-transports/bad-outages.ts";
import { badMessages } from "./bad-transports/bad-messages.ts";
import { badSubscriptions } from "./bad-transports/bad-subscriptions.ts";

const badTransports: readonly BadTransport[] = [...badConnections, ...badMessages, ...badDeliveries, ...badSubscriptions, ...badOutages];

/** It measures what the whole process keeps in memory. */
const isAlone = (title: string): boolean => title.includes("in memory");

const mistakes = badTransports.flatMap(({ caughtBy, ...transport }) => caughtBy.map((title) => ({ ...transport, title })));

describe("the kit catches a transport in which", () => {
  test.concurrent.each(mistakes.filter(({ title }) => !isAlone(title)))("$flaw, by: $title", expectCaught);

  test.each(mistakes.filter(({ title }) => isAlone(title)))("$flaw, by: $title", { timeout: 20_000 }, expectCaught);
});

test("every test of the kit catches a bad transport", () => {
  const caught = new Set(badTransports.flatMap(({ caughtBy }) => caughtBy));

  const titles = [...kitTestsOf({}).keys()];

  expect(titles.filter((title) => !caught.has(title))).toEqual([]);
});

test("what a connection does not offer is skipped by name, with the reason", () => {
  const skipped = new Map<string, string>();
  const { options } = memoryHandles();

  connectionKit({
    open: options.open,
    features: { ...options.features, durable: false, serial: false, keyOrder: "none", backfill: [], ackWait: "fixed" },
    test: () => undefined,
    skip: (title, reason) => skipped.set(title, reason),
  });

  expect(Object.fromEntries(skipped)).toMatchObject({
    "a message is not acknowledged before its handler has finished": "features.durable is false",
    "a connection that is cut and comes back loses nothing": "the kit was not given outage",
    "backfill by time begins with the first message from then on": 'features.backfill has no "time"',
    "serial works on one message at a time in the order of the stream, and a failure blocks what follows": "features.serial is false",
    "the followers of a failed message wait behind it, and other keys flow": 'features.keyOrder is "none"',
  });
});

test("no two tests of the kit have the same title", () => {
  const titles: string[] = [];

  connectionKit({ ...memoryHandles().options, test: (title) => titles.push(title), skip: (title) => titles.push(title) });

  expect(titles).toHaveLength(new Set(titles).size);
});

async function expectCaught({ title, ...alterations }: Alterations & { readonly title: string }): Promise<void> {
  const run = kitTestsOf(alterations).get(title);

  const failure = await run?.().then(
    () => "the test passed",
    (reason: unknown) => reason,
  );

  expect(failure).toBeInstanceOf(Error);
  expect(failure).not.toBeInstanceOf(TypeError);
}

function kitTestsOf(alterations: Alterations): ReadonlyMap<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  connectionKit({
    ...memoryHandles(alterations).options,
    test: (title, run) => tests.set(title, run),
    patience: 400,
    ackWait: 60,
    delay: 40,
    queued: 5_000,
  });
  return tests;
}
