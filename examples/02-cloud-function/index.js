// @ts-check
import { drainOnSignals, pubsubMessage, toHttpFunction } from "@event-driver/google-cloud/functions";
import * as functions from "@google-cloud/functions-framework";
import {
  createMessage,
  deadLetter,
  decode,
  eraseContentFromSources,
  idempotency,
  isEventDriverError,
  joiner,
  matchAll,
  pipeline,
  transformer,
} from "event-driver";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { z } from "zod";

import { openStore } from "./store.js";

const { STORE, BANK_URL } = process.env;

/** @type {Readonly<Record<string, string>>} */
const severities = { debug: "DEBUG", info: "INFO", warn: "WARNING", error: "ERROR", fatal: "CRITICAL" };

// One JSON object a line is what Cloud Logging reads.
const logger = pino({
  base: null,
  messageKey: "message",
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ severity: severities[label] ?? "DEFAULT" }) },
});
const store = await openStore(STORE);

/** event1 only says that the order was made, so its content is erased; the other two may be any JSON objects. */
const Order = z.object({ event1: z.literal(""), event2: z.record(z.string(), z.unknown()), event3: z.record(z.string(), z.unknown()) });

/** Charges each order once, when event1, event2 and event3 have come for its key: in any order, repeated, and in parallel. */
const orders = pipeline()
  .use(deadLetter({ store }))
  .use(transformer(eraseContentFromSources("event1")))
  .use(joiner({ store, condition: matchAll("event1", "event2", "event3") }))
  .use(idempotency({ store }))
  .use(decode(Order))
  .use(async function charge(ctx, { id, key, encoded }) {
    if (BANK_URL) {
      const response = await fetch(BANK_URL, {
        method: "POST",
        headers: { "idempotency-key": id },
        body: encoded.content,
        signal: ctx.signal,
      });
      if (!response.ok) throw new Error(`the bank answered ${response.status}`);
    }
    logger.info({ id, key }, "charged the order");
  });

const malformed = store.scope("malformed");

/**
 * Keeps what never became a message: the dead letter stage cannot put it aside.
 *
 * @param {import("@event-driver/google-cloud/functions").TerminalFailure} failure
 */
async function keepMalformed({ id, body, error }) {
  const key = id ?? randomUUID();
  const reason = isEventDriverError(error) ? error.code : "unknown";
  await malformed.persist(createMessage({ key, source: "malformed", content: body ?? "", attributes: { reason } }));
  logger.error({ key, reason }, "kept a malformed event");
}

functions.http(
  "orders",
  toHttpFunction(orders, {
    // What a topic delivers is taken out of its envelope; other events pass as they are.
    toMessage: pubsubMessage(),
    onTerminal: keepMalformed,
    // Nothing runs between requests, so Cloud Scheduler sends this.
    sweepOn: "orders.sweep",
    logger,
  }),
);

drainOnSignals({ onDrained: () => store.close(), logger });
