import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Delivery, orderEvents, shuffledDeliveries } from "./events.ts";
import { type Service, startService } from "./service.ts";
import { startSink } from "./sink.ts";

const orders = 100;
const parallel = 12;
/** Milliseconds for which a sender repeats a delivery before it gives up. */
const patience = 40_000;

const folder = await mkdtemp(join(tmpdir(), "orders-"));
const sink = await startSink();
const environment = { STORE: `sqlite:${join(folder, "orders.db")}`, K_SINK: sink.url, HOST: "127.0.0.1", LOG_LEVEL: "silent" };

let service: Service = await startService({ ...environment, PORT: "0" });
console.log(`The order service listens on ${service.url}, its store is a temporary SQLite file.`);

const deliveries = shuffledDeliveries(orderEvents(orders), Math.random);
const tally = { sent: 0, accepted: 0, deliveries: 0 };
const acceptedEvents = new Set<string>();
let restart: Promise<void> | undefined;

const waiting = deliveries.values();
await Promise.all(Array.from({ length: parallel }, sendAll));
await restart;
const exitCode = await service.stop();
await sink.close();
await rm(folder, { recursive: true });

const sinkDeliveries = [...sink.accepted.values()].reduce((sum, contents) => sum + contents.length, 0);
const again = sinkDeliveries - sink.accepted.size;
console.log(`
Tally
  events sent            ${tally.sent}  (${orders * 3} events and their repeats, in ${deliveries.length} requests, and again where not accepted)
  events accepted        ${tally.accepted}
  orders joined          ${sink.idsByKey.size}
  processed, by id       ${sink.accepted.size}
  repeats skipped        ${tally.accepted - acceptedEvents.size}
  sent to the sink again ${again}  (only what was on its way when the process was killed)`);

const wrong = [
  acceptedEvents.size === orders * 3 || `${orders * 3 - acceptedEvents.size} events were never accepted`,
  sink.idsByKey.size === orders || `${sink.idsByKey.size} of ${orders} orders were processed`,
  sink.accepted.size === orders || `${orders} orders were processed under ${sink.accepted.size} ids`,
  [...sink.accepted.values()].every((contents) => new Set(contents).size === 1) || "one id came with two contents",
  again <= parallel * 5 || `${again} second deliveries are more than the kill explains`,
  exitCode === 0 || `the service ended with exit code ${exitCode}`,
].filter((check) => check !== true);
console.log(wrong.length === 0 ? "\nEvery order was processed once." : `\nWRONG: ${wrong.join("; ")}`);
process.exitCode = wrong.length === 0 ? 0 : 1;

async function sendAll(): Promise<void> {
  for (const delivery of waiting) {
    await sendUntilAccepted(delivery);
    tally.deliveries += 1;
    if (tally.deliveries === Math.floor(deliveries.length / 2)) restart = killAndRestart();
  }
}

async function sendUntilAccepted(delivery: Delivery): Promise<void> {
  const giveUpAt = Date.now() + patience;
  while (Date.now() < giveUpAt) {
    await restart;
    tally.sent += delivery.events.length;
    if (await send(delivery)) {
      tally.accepted += delivery.events.length;
      for (const { id } of delivery.events) acceptedEvents.add(id);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether the service has taken it. A refused or broken connection is a no: the sender cannot know more. */
async function send({ headers, body }: Delivery): Promise<boolean> {
  try {
    const response = await fetch(service.url, { method: "POST", headers, ...(body !== undefined && { body }) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function killAndRestart(): Promise<void> {
  await service.kill();
  console.log(`Killed it with SIGKILL after ${tally.accepted} events, with requests in flight.`);
  service = await startService({ ...environment, PORT: String(service.port) });
  console.log("Started it again on the same file.");
}
