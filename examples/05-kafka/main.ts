import { kafkaConnection } from "@event-driver/kafka";

import { chargeOrdersOver } from "../orders-over-broker.ts";

const connection = await kafkaConnection({
  url: process.env["KAFKA_URL"] || "kafka://127.0.0.1:24482",
  // The two subscriptions have a partition each; what an example leaves behind may go after a minute.
  topic: { partitions: 2, configs: { "retention.ms": "60000" } },
});

await chargeOrdersOver(connection);
