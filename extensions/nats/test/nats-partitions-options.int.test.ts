import type { NatsNative } from "@event-driver/nats";
import type { Connection } from "event-driver/streams";

import { natsConnection, type NatsConnectionOptions } from "@event-driver/nats";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { createMessage, type Message } from "event-driver";
import { deliveryOf, partitionOf } from "event-driver/streams";
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";

const suite = await suiteWith("nats");
const patience = { timeout: 20_000, interval: 5 };

suite("a stream of NATS that has partitions", () => {
  test("has a subject for each, a position of a name for each, and says how many there are", async () => {
    const connection = await opened({ stream: { partitions: 3 } });
    const stream = randomUUID();

    await connection.subscribe(stream, async () => {}, { name: "billing" });

    const { streams, consumers } = await manager();
    const { config } = await streams.info(stream);
    expect(config.subjects).toEqual([`${stream}.*`]);
    expect(config.metadata).toMatchObject({ "event-driver.partitions": "3" });
    const positions = await Promise.all([0, 1, 2].map((partition) => consumers.info(stream, `billing-p${partition}`)));
    expect(positions.map(({ config: { filter_subject } }) => filter_subject)).toEqual([0, 1, 2].map((each) => `${stream}.${each}`));
  });

  test("has each message where its key belongs, and a delivery says where that is", async () => {
    const connection = await opened({ stream: { partitions: 4 } });
    const stream = randomUUID();
    const seen = new Map<string, string | undefined>();
    await connection.subscribe(stream, async (ctx, { key }) => void seen.set(key, deliveryOf(ctx)?.partition));
    const keys = Array.from({ length: 20 }, (_, number) => `order-${number}`);

    await connection.publishBatch(
      stream,
      keys.map((key) => message(key, key)),
    );
    await vi.waitFor(() => expect(seen.size).toBe(20), patience);

    expect(seen).toEqual(new Map(keys.map((key) => [key, String(partitionOf(key, 4))])));
  });

  test.each([
    [4, 8],
    [8, 4],
    [4, 1],
    [1, 4],
  ])("is refused to who thinks that it has not %d partitions but %d", async (made, given) => {
    const stream = randomUUID();
    await (await opened({ stream: { partitions: made } })).publish(stream, message("order-1", "1"));
    const connection = await opened({ streams: { [stream]: { partitions: given } } });
    const refusal = { code: "ERR_TOPOLOGY", retryable: true, message: expect.stringContaining(`made for ${made} partitions`) };

    await expect(connection.publish(stream, message("order-1", "2"))).rejects.toMatchObject(refusal);
    await expect(connection.subscribe(stream, async () => {})).rejects.toMatchObject(refusal);
    expect((await (await manager()).streams.info(stream)).state).toMatchObject({ messages: 1, consumer_count: 0 });
  });

  test("says how many it has to who does not: he publishes and subscribes as the others do", async () => {
    const [knowing, asking] = await Promise.all([opened({ stream: { partitions: 4 } }), opened()]);
    const stream = randomUUID();
    const seen = new Map<string, string | undefined>();
    const keys = Array.from({ length: 20 }, (_, number) => `order-${number}`);
    await (await knowing.subscribe(stream, async () => {})).close();

    await asking.publishBatch(
      stream,
      keys.map((key) => message(key, key)),
    );
    await asking.subscribe(stream, async (ctx, { key }) => void seen.set(key, deliveryOf(ctx)?.partition));
    await vi.waitFor(() => expect(seen.size).toBe(20), patience);

    expect(seen).toEqual(new Map(keys.map((key) => [key, String(partitionOf(key, 4))])));
    await expect(asking.subscribe(stream, async () => {}, { name: "alone", serial: true })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
      message: expect.stringContaining("4 partitions"),
    });
  });

  test("cannot be had alone, nor by other subjects", async () => {
    const stream = randomUUID();
    const [all, one] = await Promise.all([opened({ stream: { partitions: 4 } }), opened({ streams: { [stream]: { partitions: 4 } } })]);

    await expect(all.subscribe(stream, async () => {}, { serial: true })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    await expect(one.subscribe(stream, async () => {}, { serial: true })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    await expect(all.subscribe(stream, async () => {}, { native: { filterSubjects: [`${stream}.1`] } })).rejects.toMatchObject({
      code: "ERR_INVALID_OPTION",
      message: expect.stringContaining("native.filterSubjects"),
    });
  });

  test("lets a connection say what order it keeps: that of a group where every stream has them", async () => {
    const options: readonly Omit<NatsConnectionOptions, "url">[] = [
      {},
      { streams: { orders: { partitions: 4 } } },
      { stream: { partitions: 4 }, streams: { failed: { partitions: 1 } } },
      { stream: { partitions: 4 } },
    ];

    const connections = await Promise.all(options.map((each) => opened(each)));

    expect(connections.map(({ features: { keyOrder, serial } }) => [keyOrder, serial])).toEqual([
      ["subscription", true],
      ["subscription", true],
      ["subscription", false],
      ["group", false],
    ]);
  });

  test("tells how far behind a member is, over all partitions that it has", async () => {
    const connection = await opened({ stream: { partitions: 2 } });
    const stream = randomUUID();
    const lags: number[] = [];
    connection.on("lag", ({ messages }) => lags.push(messages));
    await connection.publishBatch(
      stream,
      Array.from({ length: 40 }, (_, number) => message(keyOf(number % 2, 2), String(number))),
    );

    await connection.subscribe(stream, async () => {}, { backfill: true });

    await vi.waitFor(() => expect(lags.at(-1)).toBeGreaterThan(20), patience);
  });

  test("has its partitions dealt out to as many members as it has, and the rest wait", async () => {
    const connections = await Promise.all(Array.from({ length: 3 }, () => opened({ stream: { partitions: 2 } })));
    const stream = randomUUID();
    const has = connections.map((connection) => {
      const partitions = new Set<string>();
      connection.on("rebalance", ({ gained, lost }) => {
        for (const each of lost) partitions.delete(each);
        for (const each of gained) partitions.add(each);
      });
      return partitions;
    });
    const sizes = (): readonly number[] => has.map(({ size }) => size);

    const first = await connections[0]?.subscribe(stream, async () => {});
    await vi.waitFor(() => expect(sizes()).toEqual([2, 0, 0]), patience);
    await connections[1]?.subscribe(stream, async () => {});
    await vi.waitFor(() => expect(sizes()).toEqual([1, 1, 0]), patience);
    await connections[2]?.subscribe(stream, async () => {});
    await first?.close();

    await vi.waitFor(() => expect(sizes().slice(1)).toEqual([1, 1]), patience);
  });

  test("has no position left when the last member of a name has forgotten it, and all of them when it was closed", async () => {
    const connection = await opened({ stream: { partitions: 3 } });
    const stream = randomUUID();
    const { streams } = await manager();
    const positions = async (): Promise<number> => (await streams.info(stream)).state.consumer_count;
    const leases = async (): Promise<object> =>
      (await streams.info("event-driver-leases", { subjects_filter: `event-driver.leases.${stream}.>` })).state.subjects ?? {};

    await (await connection.subscribe(stream, async () => {})).close();
    expect([await positions(), await leases()]).toEqual([3, {}]);
    await (await connection.subscribe(stream, async () => {}, { name: "passing", durable: false })).close();
    expect(await positions()).toBe(3);
    await (await connection.subscribe(stream, async () => {})).unsubscribe();

    expect([await positions(), await leases()]).toEqual([0, {}]);
  });

  test("a subscription is lost, once, when one of its positions was removed at the broker", async () => {
    const connection = await opened({ stream: { partitions: 3 } });
    const stream = randomUUID();
    const lost: unknown[] = [];
    connection.on("lost", ({ error }) => lost.push(error));
    await connection.subscribe(stream, async () => {}, { name: "billing" });

    const { consumers } = await manager();
    await Promise.all([0, 1].map((partition) => consumers.delete(stream, `billing-p${partition}`)));

    await vi.waitFor(() => expect(lost).toEqual([expect.objectContaining({ code: "ERR_DELIVERY_LOST" })]), patience);
  });

  test("a message that waits for its delay at the broker does not come sooner because its partition has changed hands", async () => {
    const [first, second] = await Promise.all([opened({ stream: { partitions: 2 } }), opened({ stream: { partitions: 2 } })]);
    const stream = randomUUID();
    const begun: number[] = [];
    const handle = async (): Promise<void> => {
      begun.push(performance.now());
      if (begun.length === 1) throw new Error("not yet");
    };
    const options = { order: "none", retry: { delays: [2_000] } } as const;
    const subscription = await first.subscribe(stream, handle, options);
    await first.publish(stream, message("order-1", "1"));
    await vi.waitFor(() => expect(begun.length).toBe(1), patience);

    await subscription.close();
    await second.subscribe(stream, handle, options);
    await vi.waitFor(() => expect(begun.length).toBe(2), patience);

    expect((begun[1] ?? 0) - (begun[0] ?? 0)).toBeGreaterThanOrEqual(2_000);
  });

  test("with topology check everything has to be there, the stream of leases too", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    const { streams, consumers } = await manager(broker.url);
    const connection = await opened({ url: broker.url, topology: "check", stream: { partitions: 2 } });
    const ids: string[] = [];
    const subscribing = (): Promise<unknown> => connection.subscribe("orders", async (_ctx, { id }) => void ids.push(id));
    const missing = (what: string): object => ({ code: "ERR_TOPOLOGY", message: expect.stringContaining(what) });

    await expect(subscribing()).rejects.toMatchObject(missing("orders.*"));
    await streams.add({ name: "orders", subjects: ["orders.*"], metadata: { "event-driver.partitions": "2" } });
    await expect(subscribing()).rejects.toMatchObject(missing("event-driver-leases"));
    await streams.add({
      name: "event-driver-leases",
      subjects: ["event-driver.leases.>"],
      max_msgs_per_subject: 1,
      allow_msg_ttl: true,
    });
    await expect(subscribing()).rejects.toMatchObject(missing("orders-p"));
    const position = { ack_policy: "explicit", ack_wait: 30e9 } as const;
    await consumers.add("orders", { ...position, durable_name: "orders-p0", filter_subject: "orders.0" });
    await consumers.add("orders", { ...position, durable_name: "orders-p1" });
    await expect(subscribing()).rejects.toMatchObject(missing("orders.1"));
    await consumers.update("orders", "orders-p1", { filter_subject: "orders.1" });
    await subscribing();
    await connection.publish("orders", message("order-1", "1"));

    await vi.waitFor(() => expect(ids).toEqual(["1"]), patience);
  });
});

async function opened({ url = services.nats.url, ...options }: Partial<NatsConnectionOptions> = {}): Promise<Connection<NatsNative>> {
  const connection = await natsConnection({ url, ...options });
  onTestFinished(() => connection.close({ limit: 1_000 }));
  return connection;
}

async function manager(url: string = services.nats.url): Promise<JetStreamManager> {
  const client = await connect({ servers: url });
  onTestFinished(() => client.close());
  return jetstreamManager(client);
}

/** A key whose messages are in a partition. */
function keyOf(partition: number, count: number): string {
  let number = 0;
  while (partitionOf(`order-${number}`, count) !== partition) number += 1;
  return `order-${number}`;
}

function message(key: string, id: string): Message<string> {
  return createMessage({ id, key, source: "shop", content: "x" });
}
