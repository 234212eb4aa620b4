import { natsConnection } from "@event-driver/nats";

import { chargeOrdersOver } from "../orders-over-broker.ts";

const connection = await natsConnection({
  url: process.env["NATS_URL"] || "nats://127.0.0.1:24480",
  // What an example leaves behind is gone after a minute.
  stream: { maxAge: 60_000, duplicateWindow: 60_000 },
  // JetStream would keep each event once, and the pipeline would have nothing to do.
  deduplicate: false,
});

await chargeOrdersOver(connection);
