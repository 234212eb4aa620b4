import * as functions from "@google-cloud/functions-framework";
import { pipeline } from "event-driver";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";

import { drainOnSignals, toCloudEventFunction, toHttpFunction } from "@event-driver/google-cloud/functions";

// Says on stdout how far it is, and finishes events when stdin says so.
const finished = once(process.stdin, "data").then(() => process.stdin.destroy());
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const patient = pipeline().use(async (_ctx, { id }) => {
  say(`begun ${id}`);
  await finished;
  // So that under load there is always something in flight.
  await setTimeout(5);
});

functions.http("http", toHttpFunction(patient));
functions.cloudEvent("cloudevent", toCloudEventFunction(patient));
if (process.env["DRAIN_LIMIT"] !== undefined) {
  drainOnSignals({ limit: Number(process.env["DRAIN_LIMIT"]), onDrained: () => say("drained") });
}
