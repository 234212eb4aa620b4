import { afterAll, beforeAll, expect, test } from "vitest";

import { type OwnBroker, ownBroker } from "../../../test/broker-process.ts";
import { suiteWith } from "../../../test/services.ts";
import { collector, connected, order, until } from "./connected.ts";

const suite = await suiteWith("rabbitmq");

suite("a broker that has lost all it had", () => {
  let broker: OwnBroker;
  beforeAll(async () => void (broker = await ownBroker("rabbitmq")), 180_000);
  afterAll(() => broker?.stop(), 60_000);

  test.each([1, 3])(
    "a subscription with %i partitions is given what its connection publishes at once",
    { timeout: 240_000 },
    async (partitions) => {
      const connection = await connected({ url: broker.url, queueArguments: {}, partitions, clientOptions: { retryHigh: 500 } });
      const [stream, { ids, handle }] = [crypto.randomUUID(), collector()];
      await connection.subscribe(stream, handle, { name: "worker" });
      await connection.publish(stream, order("before"));
      await until(() => expect(ids).toEqual(["before"]));

      await broker.wipe();
      const meanwhile = connection.publish(stream, order("at once"));
      await broker.restart();
      await meanwhile;

      await until(() => expect(ids).toEqual(["before", "at once"]), 60_000);
    },
  );
});
