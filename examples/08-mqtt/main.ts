import { mqttConnection } from "@event-driver/mqtt";

import { chargeOrdersOver } from "../orders-over-broker.ts";

const connection = await mqttConnection({
  url: process.env["MQTT_URL"] || "mqtt://127.0.0.1:24487",
  // What an example leaves behind when it is ended half-way is gone after a minute.
  sessionExpiry: 60_000,
});

await chargeOrdersOver(connection);
