import { type Closable, closeOnSignals, receiver, senderFromEnvironment } from "@event-driver/cloudevents";
import { sqliteEventStore } from "@event-driver/sqlite";
import type { Connection } from "event-driver/streams";
import { type EventStore, memoryEventStore, type Processor } from "event-driver";
import { type Logger, pino } from "pino";

import { type ChargeOrder, orderPipeline } from "./pipeline.ts";
import { openSource } from "./source.ts";

// Logs go to standard error, at once: what was written before a crash is there.
const standardError = pino.destination({ dest: 2, sync: true });

try {
  await serve(process.env);
} catch (error) {
  // Whatever LOG_LEVEL is: who starts a service has to learn why it does not run.
  pino(standardError).fatal(error);
  process.exitCode = 1;
}

/** Serves orders until the process is asked to end. An empty variable counts as absent. */
async function serve(environment: NodeJS.ProcessEnv): Promise<void> {
  const { PORT, HOST, STORE, SOURCE, STREAM, SWEEP_ON, LOG_LEVEL } = environment;
  const port = portOf(PORT || "8080");
  const logger = pino({ level: levelOf(LOG_LEVEL || "info") }, standardError);
  const sink = senderFromEnvironment(environment);
  const store = await openStore(STORE || "sqlite:orders.db", logger);

  const charge: ChargeOrder = async (ctx, order) => {
    if (sink === undefined) logger.info({ id: order.id, key: order.key }, "charged the order");
    else await sink.process(ctx, order.encoded);
  };

  const pipeline = orderPipeline(store, charge);
  const orders = receiver(pipeline, {
    logger,
    sweepOn: SWEEP_ON || undefined,
    health: { check: () => store.lookUp("health", "check") },
  });
  const source = SOURCE ? await openSource(SOURCE, { logger }) : undefined;
  const sources = source === undefined ? [] : [untilLost(source, logger)];
  try {
    if (source !== undefined) await subscribe(source, STREAM || "orders", pipeline);
    const listening = await orders.listen({ port, host: HOST || "127.0.0.1" });
    const closed = closeOnSignals([listening, ...sources], {
      limit: 10_000,
      onClosed: () => store.close(),
    });
    // Only now: whoever reads this may ask it to end at once.
    process.stdout.write(`listening on ${listening.url}\n`);
    await closed;
  } catch (error) {
    await source?.close({ limit: 0 });
    throw error;
  }
}

/** From the first event on: one that was published before the service was first started counts too, where the broker still has it. */
async function subscribe(source: Connection, stream: string, orders: Processor): Promise<void> {
  const backfill = source.features.backfill.includes("all");
  await source.subscribe(stream, orders, { backfill, deadLetter: `${stream}-failed` });
}

/** Nothing more comes when the broker has ended the subscription. Then the service ends too, with what is in flight: whoever starts it again subscribes again. */
function untilLost(source: Connection, logger: Logger): Closable {
  const lost = new Promise<void>((resolve) =>
    source.on("lost", ({ error }) => {
      logger.fatal({ err: error }, "the source of events is lost");
      process.exitCode = 1;
      resolve();
    }),
  );
  return { close: (options) => source.close(options), closed: lost };
}

async function openStore(address: string, logger: Logger): Promise<EventStore> {
  if (address === "memory:") return memoryEventStore();
  if (address.startsWith("sqlite:") && address.length > 7) return sqliteEventStore({ file: address.slice(7), logger });
  if (address.startsWith("gcs:")) return openBucket(address, logger);
  throw new Error(`STORE is "${address}", allowed are "sqlite:FILE", "gcs:BUCKET/FOLDER" and "memory:"`);
}

async function openBucket(address: string, logger: Logger): Promise<EventStore> {
  // Loaded only here: who keeps orders elsewhere needs no client of Google's.
  const { gcsEventStoreFromUrl } = await import("@event-driver/google-cloud/storage");
  const store = gcsEventStoreFromUrl(address, { logger });
  await store.check();
  return store;
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new Error(`PORT is "${text}", allowed is a whole number from 0 to 65535; 0 takes any free one`);
}

function levelOf(text: string): string {
  const levels = [...Object.keys(pino.levels.values), "silent"];
  if (levels.includes(text)) return text;
  throw new Error(`LOG_LEVEL is "${text}", allowed are ${levels.join(", ")}`);
}
