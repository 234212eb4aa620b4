import { closeOnSignals, receiver, senderFromEnvironment } from "@event-driver/cloudevents";
import { sqliteEventStore } from "@event-driver/sqlite";
import { type EventStore, memoryEventStore } from "event-driver";
import { pino } from "pino";

import { type ChargeOrder, orderPipeline } from "./pipeline.ts";

const { PORT = "8080", HOST = "127.0.0.1", STORE = "sqlite:orders.db", LOG_LEVEL = "info" } = process.env;

// Logs go to standard error, at once: what was written before a crash is there.
const logger = pino({ level: LOG_LEVEL }, pino.destination({ dest: 2, sync: true }));
const sink = senderFromEnvironment(process.env);
const store = openStore(STORE);

const charge: ChargeOrder = async (ctx, order) => {
  if (sink === undefined) logger.info({ id: order.id, key: order.key }, "charged the order");
  else await sink.process(ctx, order.encoded);
};

const orders = receiver(orderPipeline(store, charge), { logger, health: { check: () => store.lookUp("health", "check") } });
const listening = await orders.listen({ port: portOf(PORT), host: HOST });
process.stdout.write(`listening on ${listening.url}\n`);

await closeOnSignals(listening, { onClosed: () => store.close() });

function openStore(address: string): EventStore {
  if (address === "memory:") return memoryEventStore();
  if (address.startsWith("sqlite:") && address.length > 7) return sqliteEventStore({ file: address.slice(7), logger });
  throw new Error(`STORE is "${address}", allowed are "sqlite:FILE" and "memory:"`);
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new Error(`PORT is "${text}", allowed is a whole number from 0 to 65535; 0 takes any free one`);
}
