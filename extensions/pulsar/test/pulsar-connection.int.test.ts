import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

import { randomUUID } from "node:crypto";
import { pulsarConnection, pulsarFeatures, type PulsarNative } from "@event-driver/pulsar";
import { createMessage } from "event-driver";
import { deliveryOf } from "event-driver/streams";
import { afterEach, expect, test, vi } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { pulsarName } from "../src/names.ts";
import { produce } from "./pulsar-bench.ts";

const suite = await suiteWith("pulsar");
const { url } = services.pulsar;
const adminUrl = url.replace("pulsar+ws", "http");
const patience = { timeout: 30_000 };
const opened: Connection<PulsarNative>[] = [];

suite("a connection to Pulsar", () => {
  afterEach(async () => {
    for (const connection of opened.splice(0)) await connection.close({ limit: 0 });
  });

  test("a broker that is not there is named when connectTimeout is over, without a secret", async () => {
    const connecting = pulsarConnection({ url: "pulsar+ws://127.0.0.1:9", token: "secret", connectTimeout: 300 });

    const error = await connecting.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true, message: expect.stringContaining("127.0.0.1:9") });
    expect(String(error)).not.toContain("secret");
  });

  test("a namespace that is not there is named", async () => {
    await expect(pulsarConnection({ url, namespace: "nowhere" })).rejects.toMatchObject({
      code: "ERR_TOPOLOGY",
      message: expect.stringContaining("public/nowhere"),
    });
  });

  test("the second of two addresses is used when the first does not answer", async () => {
    const connection = await open({ url: ["pulsar+ws://127.0.0.1:9", url] });

    await expect(connection.publish(randomUUID(), order("1"))).resolves.toBe("1");
  });

  test("a topic that is missing is an error where topology is check, and is not made", async () => {
    const stream = randomUUID();
    const connection = await open({ topology: "check" });

    await expect(connection.publish(stream, order("1"))).rejects.toMatchObject({ code: "ERR_TOPOLOGY", retryable: true });
    await expect(connection.subscribe(stream, async () => {})).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    expect((await fetch(`${topicAddress(stream)}/partitions`)).status).toBe(404);
  });

  test("a topic that is made keeps for fourteen days what nobody is subscribed to", async () => {
    const stream = randomUUID();
    const connection = await open();

    await connection.publish(stream, order("1"));

    const retention: unknown = await (await fetch(`${topicAddress(stream)}/retention`)).json();
    expect(retention).toEqual({ retentionTimeInMinutes: 20_160, retentionSizeInMB: -1 });
  });

  test("a topic is made with its partitions, each key stays in one of them, and their positions are told apart", async () => {
    const stream = randomUUID();
    const connection = await open({ partitions: 3 });
    const seen: {
      readonly key: string;
      readonly id: string;
      readonly partition: string | undefined;
      readonly position: string | undefined;
    }[] = [];
    await connection.subscribe(stream, async (ctx, { id, key }) => {
      const delivery = deliveryOf(ctx);
      seen.push({ id, key, partition: delivery?.partition, position: delivery?.position });
    });

    await connection.publishBatch(
      stream,
      Array.from({ length: 90 }, (_, index) => order(String(index), `order-${index % 9}`)),
    );
    await vi.waitFor(() => expect(seen).toHaveLength(90), patience);

    expect(new Set(seen.map(({ partition }) => partition))).toEqual(new Set(["0", "1", "2"]));
    expect(new Set(seen.map(({ position }) => position)).size).toBe(90);
    for (const ofKey of Map.groupBy(seen, ({ key }) => key).values()) {
      expect(new Set(ofKey.map(({ partition }) => partition)).size).toBe(1);
      expect(ofKey.map(({ id }) => Number(id))).toEqual(ofKey.map(({ id }) => Number(id)).toSorted((one, other) => one - other));
    }
    await expect(
      connection.subscribe(stream, async () => {}, { name: "other", backfill: { position: seen[0]?.position ?? "" } }),
    ).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
    });
    const elsewhere = await open({ partitions: 2 });
    await expect(elsewhere.publish(stream, order("1"))).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
  });

  test("without the administration there are only the ends to begin at, and topics are made by the broker", async () => {
    const stream = randomUUID();
    const connection = await open({ adminUrl: false });
    const ids: string[] = [];

    await connection.publish(stream, order("1"));
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { backfill: true });
    await vi.waitFor(() => expect(ids).toEqual(["1"]), patience);

    expect(connection.features).toEqual({ ...pulsarFeatures, backfill: ["all"], reset: false });
    await expect(connection.subscribe(stream, async () => {}, { reset: true })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("a record of another producer becomes a message with the key and the properties that it has", async () => {
    const stream = `orders-${randomUUID()}`;
    const connection = await open();
    const messages: Message[] = [];
    await connection.subscribe(stream, async (_ctx, message) => void messages.push(message));

    await produce(stream, { payload: Buffer.from('{"total":12}').toString("base64"), key: "order-1", properties: { tenant: "acme" } });
    await vi.waitFor(() => expect(messages).toHaveLength(1), patience);

    expect(messages[0]).toMatchObject({ key: "order-1", source: stream, attributes: { tenant: "acme" } });
  });

  test("a message that is larger than the broker takes is refused for good, and those around it are published", async () => {
    const stream = randomUUID();
    const connection = await open();

    const settlements = await connection.publishBatch(stream, [
      order("1"),
      { ...order("2"), content: new Uint8Array(5.5 * 1_048_576) },
      { ...order("3"), content: new Uint8Array(9 * 1_048_576) },
      order("4"),
    ]);

    expect(settlements).toMatchObject([
      { status: "published", id: "1" },
      { status: "failed", error: { code: "ERR_TOO_LARGE", retryable: false } },
      { status: "failed", error: { code: "ERR_TOO_LARGE", retryable: false } },
      { status: "published", id: "4" },
    ]);
  });

  test("a subscription can be of any type that Pulsar has; another type under the same name is busy", async () => {
    const stream = randomUUID();
    const connection = await open();
    const other = await open();
    const ids: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { native: { subscriptionType: "Failover" } });
    await other.subscribe(stream, async () => {}, { native: { subscriptionType: "Failover", priorityLevel: 1 } });

    await connection.publishBatch(stream, [order("1"), order("2", "order-2")]);
    await vi.waitFor(() => expect(ids).toHaveLength(2), patience);

    await expect(connection.subscribe(stream, async () => {}, { native: { subscriptionType: "Shared" } })).rejects.toMatchObject({
      code: "ERR_SUBSCRIPTION_BUSY",
    });
  });

  test("what a loop gives back too often goes to Pulsar's own dead letters where native says so", async () => {
    const [stream, name] = [randomUUID(), randomUUID()];
    const connection = await open();
    const letters: string[] = [];
    await connection.subscribe(name, async (_ctx, { id }) => void letters.push(id));
    const deadLetterPolicy = { maxRedeliverCount: 1, topic: `persistent://public/default/${pulsarName(name)}` };
    const loop = await connection.pull(stream, { native: { subscriptionType: "Shared", deadLetterPolicy } });
    const attempts: number[] = [];
    void (async () => {
      for await (const delivery of loop) {
        attempts.push(delivery.attempt);
        await delivery.nack();
      }
    })();

    await connection.publish(stream, order("1"));
    await vi.waitFor(() => expect(letters).toEqual(["1"]), patience);

    expect(attempts).toEqual([1, 2]);
  });

  test("what a subscription leaves is gone after unsubscribe, and kept while others have the name", async () => {
    const stream = randomUUID();
    const connection = await open();
    const [first, second] = [await connection.subscribe(stream, async () => {}), await connection.subscribe(stream, async () => {})];

    await first.unsubscribe();
    const kept = await subscriptionsOf(stream);
    await second.unsubscribe();

    expect(kept).toEqual([pulsarName(stream)]);
    expect(await subscriptionsOf(stream)).toEqual([]);
  });

  test.each([0, 3])("how many messages wait is told, of a topic with %i partitions", async (partitions) => {
    const stream = randomUUID();
    const connection = await open({ lagInterval: 50, partitions });
    const told: unknown[] = [];
    connection.on("lag", (details) => told.push(details));
    const subscription = await connection.pull(stream, { name: "slow", maxInFlight: 1 });

    await connection.publishBatch(
      stream,
      Array.from({ length: 12 }, (_, index) => order(String(index), `order-${index}`)),
    );

    await vi.waitFor(() => expect(told).toContainEqual({ stream, name: "slow", messages: 12 }), patience);
    await subscription.close();
  });

  test("a message is delivered when deliverAt says, and others do not wait for it", async () => {
    const stream = randomUUID();
    const due = Date.now() + 2_500;
    const tick = 1_000;
    const connection = await open({ deliverAt: (_stream, { id }) => (id === "later" ? due : undefined) });
    const came: { readonly id: string; readonly at: number }[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void came.push({ id, at: Date.now() }));

    await connection.publishBatch(stream, [order("later"), order("now")]);
    await vi.waitFor(() => expect(came).toHaveLength(2), patience);

    expect(came.map(({ id }) => id)).toEqual(["now", "later"]);
    // Pulsar looks once a tick, and takes what is due before the next one for due.
    expect(came[1]?.at).toBeGreaterThanOrEqual(due - tick);
  });

  test("bad options of a subscription are refused by name", async () => {
    const connection = await open();
    const subscribe = (native: object): Promise<unknown> => connection.subscribe("orders", async () => {}, { native });

    await expect(subscribe({ subscriptionType: "Broadcast" })).rejects.toThrow("native.subscriptionType");
    await expect(subscribe({ redeliveryDelay: -1 })).rejects.toThrow("native.redeliveryDelay");
    await expect(subscribe({ priorityLevel: 0.5 })).rejects.toThrow("native.priorityLevel");
    await expect(subscribe({ deadLetterPolicy: { maxRedeliverCount: 0, topic: "a" } })).rejects.toThrow("maxRedeliverCount");
    await expect(connection.subscribe("orders", async () => {}, { backfill: { position: "first" } })).rejects.toThrow("backfill.position");
    await expect(connection.subscribe("orders", async () => {}, { serial: true, native: { subscriptionType: "Shared" } })).rejects.toThrow(
      "native.subscriptionType",
    );
  });
});

async function open(options: Partial<Parameters<typeof pulsarConnection>[0]> = {}): Promise<Connection<PulsarNative>> {
  const connection = await pulsarConnection({ url, ...options });
  opened.push(connection);
  return connection;
}

function order(id: string, key: string = "order-1"): Message {
  return createMessage({ id, key, source: "shop", content: id });
}

function topicAddress(stream: string): string {
  return `${adminUrl}/admin/v2/persistent/public/default/${pulsarName(stream)}`;
}

async function subscriptionsOf(stream: string): Promise<unknown> {
  return (await fetch(`${topicAddress(stream)}/subscriptions`)).json();
}
