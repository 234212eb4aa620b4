import { connectionKit } from "event-driver/testing";
import { afterAll, test } from "vitest";

import { kafkaBench } from "./kafka-bench.ts";
import { kafkaSuite } from "./kafka-suite.ts";

const suite = await kafkaSuite("kafka");

suite("a connection to Kafka", () => {
  const { options, end } = kafkaBench();
  afterAll(end);

  connectionKit({ ...options, test });
});
