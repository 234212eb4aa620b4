import { rabbitmqConnection } from "@event-driver/rabbitmq";

import { chargeOrdersOver } from "../orders-over-broker.ts";

const connection = await rabbitmqConnection({
  url: process.env["RABBITMQ_URL"] || "amqp://guest:guest@127.0.0.1:24484",
  // An event that no queue would get is an error, and not lost.
  unrouted: "refuse",
});

await chargeOrdersOver(connection);
