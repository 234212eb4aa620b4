import { once } from "node:events";
import { connect, createServer } from "node:net";
import { pipeline } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { child, connected, messages, newStream, publishAll, until } from "./helpers.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("mqtt", "toxiproxy");

suite("when something dies", () => {
  test("a broker that is killed and comes back has lost nothing that it had taken, whether delivered or not", async () => {
    const broker = await ownBroker("mqtt");
    onTestFinished(() => broker.stop());
    const stream = newStream();
    const done = new Set<string>();
    const connection = await connected({ url: broker.url });
    const gate = Promise.withResolvers<void>();
    await connection.subscribe(
      stream,
      async (_ctx, { id }) => {
        await gate.promise;
        done.add(id);
      },
      { maxInFlight: 20, concurrency: 20 },
    );
    await publishAll(connection, stream, messages(100));

    await broker.kill();
    await until(() => connection.status().state === "reconnecting", "the loss of the broker was noticed");
    gate.resolve();
    const whileDown = publishAll(
      connection,
      stream,
      messages(150).filter(({ id }) => Number(id) >= 100),
    );
    await broker.restart();

    await whileDown;
    await until(() => done.size === 150, "all messages are done");
    expect(connection.status().state).toBe("connected");
  });

  test.each([1, 2] as const)("a connection that is cut while it publishes with quality %i gets everything to the broker", async (qos) => {
    const stream = newStream();
    const network = await toxicProxy(services.mqtt.url);
    onTestFinished(() => network.remove());
    const seen: string[] = [];
    const subscriber = await connected({ qos });
    await subscriber.subscribe(stream, async (_ctx, { id }) => void seen.push(id));
    const publisher = await connected({ url: network.url, qos });

    const published = publishAll(publisher, stream, messages(1_000, 10));
    await until(() => seen.length > 50, "it is in the middle of it");
    await network.cut();
    await until(() => publisher.status().state === "reconnecting", "the cut was noticed");
    expect(publisher.status().publishing).toBeGreaterThan(0);
    await network.mend();

    await published;
    await until(() => new Set(seen).size === 1_000, "all messages came");
    expect(seen.length, "with quality 2 exactly once between client and broker").toBeLessThanOrEqual(qos === 2 ? 1_000 : 2_000);
    for (const [key, ofKey] of Map.groupBy([...new Set(seen)], (id) => Number(id) % 10)) {
      expect(ofKey, `the order of key ${key}`).toEqual(
        messages(1_000)
          .map(({ id }) => id)
          .filter((id) => Number(id) % 10 === key),
      );
    }
  });

  test("a broker that sends more than was asked for keeps its connection while nothing is read for longer than its keepalive", async () => {
    const stream = newStream();
    const relay = await pingCounter(services.mqtt.url);
    const subscriber = await connected({ url: relay.url, clientOptions: { keepalive: 4 } });
    const seen = new Set<string>();
    let gate = Promise.resolve();
    const atFirst = await subscriber.subscribe(stream, async () => {});
    await atFirst.close();
    await publishAll(subscriber, stream, messages(2_000));
    await subscriber.subscribe(
      stream,
      async (_ctx, { id }) => {
        seen.add(id);
        await gate;
      },
      { maxInFlight: 10, concurrency: 10 },
    );
    await until(() => seen.size >= 100, "the broker was told of some that it may send more");
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    gate = opened;

    const { connections, pings } = relay.counts();
    await until(() => relay.counts().pings >= pings + 10, "nothing was read for ten seconds");
    expect(relay.counts().connections).toBe(connections);
    open();

    await until(() => seen.size === 2_000, "all messages came");
  });

  test("what is being worked on while the connection is cut is not delivered again when it comes back", async () => {
    const stream = newStream();
    const network = await toxicProxy(services.mqtt.url);
    onTestFinished(() => network.remove());
    const publisher = await connected();
    const subscriber = await connected({ url: network.url });
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    await subscriber.subscribe(stream, async (ctx, { id }) => {
      seen.push(id);
      if (Number(id) < 10) await gate.promise;
      ctx.signal.throwIfAborted();
    });
    await publishAll(publisher, stream, messages(10));
    await until(() => seen.length === 10, "all are being worked on");

    await network.cut();
    await until(() => subscriber.status().state === "reconnecting", "the cut was noticed");
    // By the first of its clients: what another one answers before it has noticed, too, is lost and comes again.
    await pause(500);
    gate.resolve();
    await until(() => subscriber.status().subscriptions[0]?.inFlight === 0, "the handlers have ended");
    await network.mend();
    await publisher.publish(stream, { ...messages(1)[0]!, id: "10", key: "order-10" });
    await until(() => seen.includes("10"), "what came later is there");

    expect(seen.length, "each came once").toBe(11);
  });

  test("a process that is killed between handler and acknowledgement loses nothing", async () => {
    const stream = newStream();
    const connection = await connected();
    const first = child("subscriber", services.mqtt.url, stream, "die");
    await until(() => first.sent.includes("subscribed"), "the child is subscribed");

    await publishAll(connection, stream, messages(20, 1));
    await first.exited;
    const seen: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void seen.push(id));

    await until(() => new Set([...first.sent.slice(1, 5), ...seen]).size === 20, "every message was handled");
    expect(first.sent.filter((id) => id !== "subscribed").length).toBeLessThanOrEqual(5);
  });

  test("what a killed process had is taken over by the others of its name", async () => {
    const stream = newStream();
    const connection = await connected();
    const hanging = child("subscriber", services.mqtt.url, stream, "hang");
    await until(() => hanging.sent.includes("subscribed"), "the child is subscribed");
    const seen = new Set<string>();
    await connection.subscribe(stream, async (_ctx, { id }) => void seen.add(id));
    await publishAll(connection, stream, messages(40));
    await until(() => hanging.sent.length > 1, "the child has its share");

    hanging.kill();

    await until(() => seen.size === 40, "every message was handled");
    expect(seen).toContain(hanging.sent[1]);
  });
});

suite("under load", () => {
  test("10,000 messages pass a slow handler, and no more are in flight than allowed", async () => {
    const stream = newStream();
    const [publisher, subscriber] = [await connected(), await connected()];
    let running = 0;
    let most = 0;
    let done = 0;
    await subscriber.subscribe(
      stream,
      async () => {
        running += 1;
        most = Math.max(most, running, subscriber.status().subscriptions[0]?.inFlight ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        done += 1;
      },
      { maxInFlight: 50, concurrency: 50 },
    );

    await publishAll(publisher, stream, messages(10_000, 500));
    await until(() => done >= 10_000, "all messages are done");

    expect(done).toBe(10_000);
    expect(most).toBeLessThanOrEqual(50);
  });

  test("a connection that is closed while messages come has lost and doubled nothing", async () => {
    const stream = newStream();
    const [publisher, first, second] = [await connected(), await connected(), await connected()];
    const begun: string[] = [];
    const done: string[] = [];
    await first.subscribe(stream, async (_ctx, { id }) => {
      begun.push(id);
      await new Promise((resolve) => setImmediate(resolve));
      done.push(id);
    });

    const published = publishAll(publisher, stream, messages(2_000, 50));
    await until(() => done.length > 100, "some are done");
    await first.close();
    expect(done, "what was begun has ended").toEqual(expect.arrayContaining(begun));
    const rest: string[] = [];
    await second.subscribe(stream, async (_ctx, { id }) => void rest.push(id));
    await published;
    await until(() => new Set([...done, ...rest]).size === 2_000, "all messages were handled");

    expect(done.length + rest.length).toBe(2_000);
  });

  test("a process ends by itself when its connection is closed", async () => {
    const stream = newStream();

    const closing = child("subscriber", services.mqtt.url, stream, "close");

    expect(await closing.exited).toBe(0);
    expect(closing.sent).toContain("subscribed");
  });
});

interface PingCounter {
  readonly url: string;
  readonly counts: () => { readonly connections: number; readonly pings: number };
}

/** A way to the broker that counts who goes it, and how often they ask whether it is still there. */
async function pingCounter(broker: string): Promise<PingCounter> {
  const { hostname, port } = new URL(broker);
  const ping = Buffer.from([0xc0, 0]);
  let connections = 0;
  let pings = 0;
  const server = createServer((client) => {
    connections += 1;
    const upstream = connect(Number(port), hostname);
    client.on("data", (bytes) => void (pings += bytes.equals(ping) ? 1 : 0));
    pipeline(client, upstream, client, () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the relay listens to no port");
  return { url: `mqtt://127.0.0.1:${address.port}`, counts: () => ({ connections, pings }) };
}
