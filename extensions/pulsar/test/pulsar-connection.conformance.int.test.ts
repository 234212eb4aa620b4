import { pulsarFeatures } from "@event-driver/pulsar";
import { connectionKit } from "event-driver/testing";
import { afterAll, expect, test } from "vitest";

import { suiteWith } from "../../../test/services.ts";
import { produce, pulsarBench } from "./pulsar-bench.ts";

const suite = await suiteWith("pulsar", "toxiproxy");

suite("a connection to Pulsar", () => {
  const bench = pulsarBench();
  const skipped = new Set<string>();
  afterAll(() => bench.end());

  connectionKit({
    test,
    open: () => bench.open(),
    openAnother: () => bench.open(),
    features: pulsarFeatures,
    crash: (connection) => bench.wayOf(connection).cut(),
    async outage(connection) {
      const way = bench.wayOf(connection);
      await way.cut();
      return () => way.mend();
    },
    poison: (_connection, stream) => produce(stream, { payload: "", properties: { ce_specversion: "1.0", ce_type: "nothing.else" } }),
    skip: (_title, reason) => skipped.add(reason),
    patience: 20_000,
  });

  test("only what Pulsar cannot do is left out", () => {
    expect([...skipped].toSorted()).toEqual(
      [
        "features.attempts is false",
        'features.ackWait is "none"',
        'features.ackWait is not "extended"',
        "features.delay is false",
        "features.expiry is false",
        "features.transient is false",
      ].toSorted(),
    );
  });
});
