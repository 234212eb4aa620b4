import { connectionKit } from "event-driver/testing";
import { expect, test } from "vitest";

import { suiteWith } from "../../../test/services.ts";
import { rabbitmqHandles } from "./handles.ts";

const suite = await suiteWith("rabbitmq", "toxiproxy");
const skipped: string[] = [];

suite("several subscriptions of a name share the work", () => {
  connectionKit({ ...rabbitmqHandles(), test, skip: (title, reason) => skipped.push(`${reason}: ${title}`) });

  test("nothing is skipped but what RabbitMQ cannot do", () => {
    expect(skipped.filter((each) => !/^features\.(backfill|ackWait|keyOrder is not "group")/.test(each))).toEqual([]);
  });
});

suite("each of several subscriptions of a name works on partitions of its own", () => {
  connectionKit({ ...rabbitmqHandles({ partitions: 4 }), test });
});

suite("one of several subscriptions of a name works", () => {
  // A queue of the same kind as that of several, which takes a while to fill.
  connectionKit({ ...rabbitmqHandles({ singleActiveConsumer: true }), queued: 30_000, test });
});
