import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, onTestFinished, test } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { suiteWith } from "../../../test/services.ts";

const suite = await suiteWith("nats");

suite("a NATS server of a test's own", () => {
  test("has a message that it acknowledged before it was killed when it is back", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    await publish(broker.url, "orders", "o-1");

    await broker.kill();
    await expect(connect({ servers: broker.url, reconnect: false })).rejects.toThrow("connection refused");
    await broker.restart();

    expect(await firstMessage(broker.url, "orders")).toBe("o-1");
  });

  test("has other ports and other data than another one", async () => {
    const [one, other] = await Promise.all([ownBroker("nats"), ownBroker("nats")]);
    onTestFinished(async () => void (await Promise.all([one.stop(), other.stop()])));

    await publish(one.url, "orders", "o-1");
    await publish(other.url, "orders", "o-2");

    expect(await firstMessage(one.url, "orders")).toBe("o-1");
    expect(await firstMessage(other.url, "orders")).toBe("o-2");
  });

  test("is gone when it was stopped, which may be asked for twice", async () => {
    const broker = await ownBroker("nats");

    await broker.stop();
    await broker.stop();

    await expect(connect({ servers: broker.url, reconnect: false })).rejects.toThrow("connection refused");
  });
});

async function publish(url: string, stream: string, text: string): Promise<void> {
  const connection = await connect({ servers: url });
  await (await jetstreamManager(connection)).streams.add({ name: stream, subjects: [stream] });
  await jetstream(connection).publish(stream, text);
  await connection.close();
}

async function firstMessage(url: string, stream: string): Promise<string | undefined> {
  const connection = await connect({ servers: url });
  const stored = await (await jetstreamManager(connection)).streams.getMessage(stream, { seq: 1 });
  await connection.close();
  return stored?.string();
}
