import { expect, onTestFinished, test } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { suiteWith } from "../../../test/services.ts";
import { connected, messages, newStream, publishAll, until } from "./helpers.ts";

const suite = await suiteWith("mqtt");

suite("a broker that has lost all it had", () => {
  test("a subscription is given what its connection publishes at once", async () => {
    const broker = await ownBroker("mqtt");
    onTestFinished(() => broker.stop());
    const [connection, stream] = [await connected({ url: broker.url }), newStream()];
    const done: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void done.push(id));
    const [first, ...others] = messages(101);
    await publishAll(connection, stream, first === undefined ? [] : [first]);
    await until(() => done.length === 1, "the subscription works");

    await broker.wipe();
    await until(() => connection.status().state === "reconnecting", "the loss of the broker was noticed");
    const meanwhile = publishAll(connection, stream, others);
    await broker.restart();
    await meanwhile;

    await until(() => new Set(done).size === 101, "all messages came");
    expect(connection.status().state).toBe("connected");
  });
});
