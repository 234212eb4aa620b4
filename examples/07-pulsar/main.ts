import { pulsarConnection } from "@event-driver/pulsar";

import { chargeOrdersOver } from "../orders-over-broker.ts";

const connection = await pulsarConnection({
  url: process.env["PULSAR_URL"] || "pulsar+ws://127.0.0.1:24489",
  // What an example leaves behind may go after a minute.
  retention: 60_000,
});

await chargeOrdersOver(connection);
