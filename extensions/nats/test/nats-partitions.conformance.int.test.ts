import { connectionKit } from "event-driver/testing";
import { afterAll, test } from "vitest";

import { suiteWith } from "../../../test/services.ts";
import { natsBench } from "./nats-bench.ts";

const suite = await suiteWith("nats", "toxiproxy");

suite("a connection to NATS whose streams have partitions", () => {
  const { options, end } = natsBench(4);
  afterAll(end);

  connectionKit({ ...options, test });
});
